// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Tensors
import Testing

@Suite struct GGMLTypeTests {
  @Test func names() {
    #expect(GGMLType.q4_K.description == "Q4_K")
    #expect(GGMLType(rawValue: 12) == .q4_K)
    #expect(GGMLType.bf16.name == "BF16")
    #expect(Set(GGMLType.allCases.map(\.name)).count == GGMLType.allCases.count)
    // Gone from ggml, never in files, or not read by this version.
    for id in [4, 5, 9, 15, 31, 32, 33, 36, 37, 38, 41, 42, .max] as [UInt32] { #expect(GGMLType(rawValue: id) == nil) }
  }

  @Test(
    arguments: [
      (GGMLType.q4_K, 256, 144), (.q4_K, 255, nil), (.q4_K, 0, 0), (.q4_K, -256, nil), (.q8_0, 64, 68), (.f16, 3, 6),
      (.q8_0, Int.max / 32 * 32, nil), (.f64, Int.max / 8 + 1, nil), (.iq1_S, Int.max / 256 * 256, Int.max / 256 * 50),
    ] as [(GGMLType, Int, Int?)])
  func rowBytes(type: GGMLType, columns: Int, bytes: Int?) { #expect(type.byteCount(ofRow: columns) == bytes) }

  @Test(
    arguments: [
      (GGMLType.q4_0, [4, 3, 64] as Shape, 432), (.q4_0, [64, 3], nil), (.f32, [], 4), (.q4_0, [], nil),
      (.f32, [2, 0], 0), (.f32, [0, 2], 0), (.f32, [1 << 40, 1 << 40], nil), (.f64, [1 << 32, 1 << 30], nil),
      (.iq1_S, [1 << 40, 1 << 24], nil),
    ] as [(GGMLType, Shape, Int?)])
  func tensorBytes(type: GGMLType, shape: Shape, bytes: Int?) { #expect(type.byteCount(of: shape) == bytes) }

  @Test func bitsPerElement() {
    #expect(GGMLType.q4_K.bitsPerElement == 4.5)
    #expect(GGMLType.iq2_XXS.bitsPerElement == 2.0625)
    #expect(GGMLType.f16.bitsPerElement == 16)
  }

  /// Rows, and tiles whose ends cut blocks, are those of the whole.
  @Test(arguments: GGMLType.allCases)
  func tiles(type: GGMLType) {
    let rowLength = 3 * max(type.blockElements, 32)
    let rowBytes = type.byteCount(ofRow: rowLength)!
    let bytes = randomBytes(seed: 7, count: 5 * rowBytes)
    let whole = type.decode(bytes).map(\.bitPattern)
    #expect(
      type.decode(rows: 1..<4, rowLength: rowLength, of: bytes).map(\.bitPattern)[...]
        == whole[rowLength..<4 * rowLength])
    #expect(type.decode(rows: 5..<5, rowLength: rowLength, of: bytes) == [])
    for columns in [0..<rowLength, 0..<32, 5..<6, 31..<rowLength - 1, rowLength - 33..<rowLength, 9..<9] {
      let expected = (1..<5).flatMap { row in columns.map { whole[row * rowLength + $0] } }
      // One more on each side: what is outside the tile stays.
      var tile = [Float](repeating: -7.5, count: expected.count + 2)
      unsafe tile.withUnsafeMutableBufferPointer { target in
        unsafe bytes.withUnsafeBytes { source in
          unsafe type.decode(
            rows: 1..<5, columns: columns, rowLength: rowLength, of: source.baseAddress!, into: target.baseAddress! + 1)
        }
      }
      #expect(tile.first == -7.5 && tile.last == -7.5)
      #expect(tile.dropFirst().dropLast().map(\.bitPattern) == expected, "\(columns)")
      var safe = [Float](repeating: 0, count: expected.count)
      var span = safe.mutableSpan
      type.decode(rows: 1..<5, columns: columns, rowLength: rowLength, of: bytes, into: &span)
      #expect(safe.map(\.bitPattern) == expected)
    }
  }

  /// By hand, from the description of the format.
  @Test func oneBlockByHand() {
    // d = 0.5, code 0x3 and 0xF in byte 0, the rest 8.
    let block: [UInt8] = [0x00, 0x38, 0xF3] + Array(repeating: 0x88, count: 15)
    let values = GGMLType.q4_0.decode(block)
    #expect(values[0] == -2.5)
    #expect(values[16] == 3.5)
    #expect(values.enumerated().allSatisfy { [0, 16].contains($0.offset) || $0.element == 0 })
    // MXFP4: scale 2^1; codes 0…15 as low nibbles, 0x7 as high ones.
    let mxfp4 = GGMLType.mxfp4.decode([128] + (0..<16).map { 0x70 | $0 })
    #expect(mxfp4.prefix(16) == [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12])
    #expect(mxfp4.dropFirst(16).allSatisfy { $0 == 12 })
  }

  @Test func empty() {
    for type in GGMLType.allCases { #expect(type.decode([]) == []) }
  }
}
