// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import MoE
import Tensors
import Testing

@Suite struct GGMLBlocksTests {
  static let types = GGMLType.allCases.filter { $0.elementType == nil }

  /// Random blocks with all exponents of half floats below the highest, so that each is a finite number.
  private static func decoder(_ type: GGMLType, scale: Float? = nil) throws -> any TileDecoder {
    var generator = SplitMix64(seed: UInt64(type.rawValue))
    let count = 3 * 768 / type.blockElements * type.blockBytes
    var stored = StoredProjection(
      "p", rows: 3, columns: 768,
      [
        .weight: StoredTensor(
          .u8, [3, 768 / type.blockElements * type.blockBytes],
          (0..<count).map { _ in UInt8(truncatingIfNeeded: generator.next()) & 0xBB })
      ])
    if let scale { stored.tensors[.globalScale] = StoredTensor(.f32, [], ElementType.f32.encode([scale])) }
    return try GGMLBlocks(type).decoder(of: stored)
  }

  /// Codes and scales give what decoding gives, bit for bit, and tiles are parts of the whole.
  @Test(arguments: types)
  func codes(type: GGMLType) throws {
    for scale in type == .nvfp4 ? [nil, 0.37] : [nil] as [Float?] {
      let decoder = try Self.decoder(type, scale: scale)
      let whole = decoder.decode()
      let coded = try #require(decoder.coded(rows: 0..<3, columns: 0..<768))
      #expect(coded.codes.count == 3 * 768 && coded.scales.count == 3 * 768 / coded.group)
      #expect(coded.table.count == 1 << coded.bits && coded.codes.allSatisfy { Int($0) < coded.table.count })
      expectSameBits(coded.decode(), whole)
      for (rows, columns) in [(1..<3, 256..<768), (0..<1, 5..<300), (2..<3, 767..<768), (1..<1, 0..<256)] {
        let expected = rows.flatMap { row in columns.map { whole[row * 768 + $0] } }
        expectSameBits(try decoder.decode(rows: rows, columns: columns), expected)
        if let tile = decoder.coded(rows: rows, columns: columns) { expectSameBits(tile.decode(), expected) }
      }
      #expect(decoder.coded(rows: 0..<3, columns: 5..<300) == nil)
    }
  }

  @Test func parameters() {
    for type in Self.types {
      let scheme = GGMLBlocks(type)
      #expect(scheme.parameters.form == .ggmlBlock && scheme.name == type.name)
      let shapes = scheme.tensor(.weight)?.shapes(rows: 3, columns: 512)
      #expect(shapes == [[3, 512 / type.blockElements * type.blockBytes]])
      #expect(scheme.tensor(.weight)?.shapes(rows: 3, columns: 513) == [])
    }
  }

  /// A scale that is no number is found; one that is negative or 0 is legal.
  @Test(
    arguments: [
      (.q8_0, 0, [0, 0x7E], true), (.q8_0, 0, [0, 0xBC], false), (.q8_0, 0, [0, 0], false),
      (.q8_0, 0, [0, 0x7C], true),
      (.q4_K, 2, [1, 0x7C], true), (.q4_K, 0, [0, 0xFC], true), (.q6_K, 208, [0, 0x7C], true), (.mxfp4, 0, [255], true),
      (.mxfp4, 0, [254], true), (.mxfp4, 0, [0], false), (.nvfp4, 1, [0x7F], true), (.nvfp4, 2, [0xFF], true),
      (.nvfp4, 3, [0x80], false), (.q4_1, 2, [0, 0x7C], true),
    ] as [(GGMLType, Int, [UInt8], Bool)])
  func values(type: GGMLType, offset: Int, bytes: [UInt8], isFault: Bool) throws {
    let columns = 256
    let size = columns / type.blockElements * type.blockBytes
    var content = [UInt8](repeating: 0x11, count: size)
    for (index, byte) in bytes.enumerated() { content[offset + index] = byte }
    if type == .mxfp4 { content[1] = 0x77 }
    let decoder = try GGMLBlocks(type).decoder(
      of: StoredProjection("p", rows: 1, columns: columns, [.weight: StoredTensor(.u8, [1, size], content)]))
    #expect(decoder.valueFaults().map(\.code) == (isFault ? [.invalidValue] : []))
  }

  @Test func otherTypesAreRefused() throws {
    let found = ProjectionTensors("p", [".weight": .init(.u8, [4, 18], ggmlType: .iq4_NL)])
    #expect(GGMLBlocks(.iq4_NL).faults(in: found, rows: 4, columns: 32) == [])
    #expect(GGMLBlocks(.q4_0).faults(in: found, rows: 4, columns: 32).map(\.code) == [.typeMismatch])
    #expect(GGMLBlocks(.iq4_NL).faults(in: found, rows: 4, columns: 64).map(\.code) == [.shapeMismatch])
  }
}
