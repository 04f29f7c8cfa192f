// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import MoE
import Tensors
import Testing

/// Vectors worked out by hand (section 6.0.1 of the notes on the reference, and the formats' own pages).
@Suite struct QuantizationVectorTests {
  private func words(_ values: UInt32...) -> [UInt8] {
    values.flatMap { v in (0..<4).map { UInt8(v >> (8 * $0) & 255) } }
  }

  private func decoded(
    _ scheme: some QuantizationScheme, rows: Int, columns: Int, _ tensors: [TensorRole: StoredTensor]
  ) throws -> [Float] {
    try scheme.decoder(of: StoredProjection("p", rows: rows, columns: columns, tensors)).decode()
  }

  @Test func lowNibbleIsTheEvenColumn() throws {
    let bytes: [UInt8] = [0x2B] + [UInt8](repeating: 0, count: 15)
    for (scale, factor) in [(UInt8(127), Float(1)), (130, 8), (126, 0.5)] {
      let values = try decoded(
        MXFP4(), rows: 1, columns: 32,
        [.weight: StoredTensor(.u8, [1, 16], bytes), .scale: StoredTensor(.u8, [1, 1], [scale])])
      #expect(values == [-1.5 * factor, factor] + [Float](repeating: 0, count: 30))
    }
  }

  @Test func gptqWordRunsAlongInputs() throws {
    // Word n of the only row: inputs 0...7 of output n. Symmetric zero points are stored as 7, and mean 8.
    var weight = words(0x7654_3210)
    for _ in 1..<8 { weight += words(0) }
    let tensors: [TensorRole: StoredTensor] = [
      .weight: StoredTensor(.i32, [1, 8], weight), .zeroPoint: StoredTensor(.i32, [1, 1], words(0x7777_7777)),
      .scale: StoredTensor(.f32, [1, 8], ElementType.f32.encode([Float](repeating: 1, count: 8))),
    ]
    let first = try decoded(GPTQ(bits: 4, groupSize: 8), rows: 8, columns: 8, tensors)
    #expect(Array(first[..<8]) == [-8, -7, -6, -5, -4, -3, -2, -1])
    let second = try decoded(GPTQ(bits: 4, groupSize: 8, isVersion2: true), rows: 8, columns: 8, tensors)
    #expect(Array(second[..<8]) == [-7, -6, -5, -4, -3, -2, -1, 0])
  }

  @Test func gptqOfThreeBitsFillsThreeWords() throws {
    // Codes k % 8 of 32 inputs and one output group of 32, whose zero points are 0 + 1.
    let codes = (0..<32).map { UInt64($0 % 8) }
    var stream: [UInt8] = []
    for byte in 0..<12 {
      var value: UInt8 = 0
      for bit in 0..<8 {
        let position = 8 * byte + bit
        if codes[position / 3] >> UInt64(position % 3) & 1 == 1 { value |= 1 << UInt8(bit) }
      }
      stream.append(value)
    }
    // Three rows of words; all 32 outputs have the same ones.
    let weight = (0..<3).flatMap { row in (0..<32).flatMap { _ in stream[4 * row..<4 * row + 4] } }
    let values = try decoded(
      GPTQ(bits: 3, groupSize: nil), rows: 32, columns: 32,
      [
        .weight: StoredTensor(.i32, [3, 32], weight),
        .zeroPoint: StoredTensor(.i32, [1, 3], [UInt8](repeating: 0, count: 12)),
        .scale: StoredTensor(.f16, [1, 32], ElementType.f16.encode([Float](repeating: 0.5, count: 32))),
      ])
    let expected = (0..<1024).map { (place: Int) -> Float in (Float(place % 8) - 1) / 2 }
    #expect(values == expected)
  }

  @Test func awqWordInterleavesOutputs() throws {
    let values = try decoded(
      AWQ(groupSize: nil), rows: 8, columns: 1,
      [
        .weight: StoredTensor(.i32, [1, 1], words(0x7654_3210)), .zeroPoint: StoredTensor(.i32, [1, 1], words(0)),
        .scale: StoredTensor(.f32, [1, 8], ElementType.f32.encode([Float](repeating: 1, count: 8))),
      ])
    #expect(values == [0, 4, 1, 5, 2, 6, 3, 7])
    // Zero points have the same order, and no one is added.
    let shifted = try decoded(
      AWQ(groupSize: nil), rows: 8, columns: 1,
      [
        .weight: StoredTensor(.i32, [1, 1], words(0x7654_3210)),
        .zeroPoint: StoredTensor(.i32, [1, 1], words(0x7654_3210)),
        .scale: StoredTensor(.f32, [1, 8], ElementType.f32.encode([Float](repeating: 1, count: 8))),
      ])
    #expect(shifted == [Float](repeating: 0, count: 8))
  }

  /// Every width of compressed-tensors, with codes that go on in the next word, zero points and a group index.
  @Test(arguments: 1...8) func packedCodes(bits: Int) throws {
    let (rows, columns, group) = (5, 40, 20)
    let code = { (row: Int, column: Int) in (7 * row + 3 * column) % (1 << bits) }
    let zero = { (row: Int, group: Int) in (row + group) % (1 << bits) }
    let index = (0..<columns).map { $0 % 2 }
    func packed(_ values: [Int]) -> [UInt8] {
      var bytes = [UInt8](repeating: 0, count: (values.count * bits + 31) / 32 * 4)
      for (place, value) in values.enumerated() {
        for bit in 0..<bits where value >> bit & 1 == 1 {
          bytes[(place * bits + bit) / 8] |= 1 << UInt8((place * bits + bit) % 8)
        }
      }
      return bytes
    }
    let weight = (0..<rows).flatMap { row in packed((0..<columns).map { code(row, $0) }) }
    // Zero points are packed along the outputs: word w of group g stands at [w, g].
    let streams = (0..<2).map { group in packed((0..<rows).map { zero($0, group) }) }
    let zeroWords = streams[0].count / 4
    let zeroPoint = (0..<zeroWords).flatMap { word in (0..<2).flatMap { streams[$0][4 * word..<4 * word + 4] } }
    let scale = (0..<rows * 2).map { 0.25 * Float($0 + 1) }
    let values = try decoded(
      PackedIntegers(bits: bits, .group(group), isSymmetric: false), rows: rows, columns: columns,
      [
        .weight: StoredTensor(.i32, [rows, (columns * bits + 31) / 32], weight),
        .scale: StoredTensor(.bf16, [rows, 2], ElementType.bf16.encode(scale)),
        .zeroPoint: StoredTensor(.i32, [zeroWords, 2], zeroPoint),
        .groupIndex: StoredTensor(.i32, [columns], index.flatMap { [UInt8($0), 0, 0, 0] }),
      ])
    let expected = (0..<rows * columns).map { place in
      let (row, column) = place.quotientAndRemainder(dividingBy: columns)
      return Float(code(row, column) - zero(row, index[column])) * scale[2 * row + index[column]]
    }
    #expect(values == expected)
  }

  @Test func globalScaleOfNVFP4() throws {
    let codes = [UInt8](repeating: 0x72, count: 8)  // 1, 6
    let (scale, global) = (StoredTensor(.f8e4m3, [1, 1], [0x40]), StoredTensor(.f32, [1], ElementType.f32.encode([4])))
    let weight = StoredTensor(.u8, [1, 8], codes)
    let factor = try decoded(
      NVFP4(isInverse: false), rows: 1, columns: 16, [.weight: weight, .scale: scale, .globalScale: global])
    #expect(Array(factor[..<2]) == [8, 48])
    let inverse = try decoded(
      NVFP4(isInverse: true), rows: 1, columns: 16, [.weight: weight, .scale: scale, .globalScale: global])
    #expect(Array(inverse[..<2]) == [0.5, 3])
  }

  @Test func highNibbleFirstInBitsAndBytes() throws {
    let state = Array(#"{"quant_type": "nf4", "blocksize": 2, "shape": [2, 2]}"#.utf8)
    let values = try decoded(
      BitsAndBytes4(kind: "nf4", blockSize: 2), rows: 2, columns: 2,
      [
        .weight: StoredTensor(.u8, [2, 1], [0xF0, 0x07]),
        .scale: StoredTensor(.f32, [2], ElementType.f32.encode([2, 3])),
        .codebook: StoredTensor(.f32, [16], ElementType.f32.encode(NormalFloat4.table)),
        .state: StoredTensor(.u8, [state.count], state),
      ])
    #expect(values == [2, -2, -3, 0])
  }

  @Test func fp8OfEveryType() throws {
    // 0x40: 2 in e4m3fn and e5m2, half of that where the bias is one more.
    let cases: [(ElementType, Float)] = [(.f8e4m3, 2), (.f8e4m3fnuz, 1), (.f8e5m2, 2), (.f8e5m2fnuz, 1)]
    for (type, value) in cases {
      let values = try decoded(
        FP8(.tensor), rows: 1, columns: 2,
        [
          .weight: StoredTensor(type, [1, 2], [0x40, 0xC0]),
          .scale: StoredTensor(.f32, [], ElementType.f32.encode([3])),
        ])
      #expect(values == [3 * value, -3 * value], "\(type)")
    }
  }

  /// Blocks of 2 by 3 over 3 by 5: at the edges, one row and two columns are left.
  @Test(arguments: [ElementType.f32, .bf16, .f8e8m0]) func raggedBlocks(type: ElementType) throws {
    let scales: [Float] = [1, 2, 4, 8]
    let values = try decoded(
      FP8(.block(rows: 2, columns: 3)), rows: 3, columns: 5,
      [
        .weight: StoredTensor(.f8e4m3, [3, 5], [UInt8](repeating: 0x38, count: 15)),
        .scale: StoredTensor(type, [2, 2], type.encode(scales)),
      ])
    #expect(values == [1, 1, 1, 2, 2, 1, 1, 1, 2, 2, 4, 4, 4, 8, 8])
  }

  @Test func sixBitFloats() throws {
    // Codes 0...31 in order: four in three bytes.
    let codes = (0..<32).map { UInt32($0) }
    let bytes = stride(from: 0, to: 32, by: 4).flatMap { first -> [UInt8] in
      var word: UInt32 = 0
      for place in 0..<4 { word |= codes[first + place] << UInt32(6 * place) }
      return [0, 8, 16].map { UInt8(truncatingIfNeeded: word >> UInt32($0)) }
    }
    let stored: [TensorRole: StoredTensor] = [
      .weight: StoredTensor(.u8, [1, 24], bytes), .scale: StoredTensor(.u8, [1, 1], [128]),
    ]
    let e2m3 = try decoded(MXFP6(), rows: 1, columns: 32, stored)
    let expected = MiniFloat.e2m3.table[..<32].map { 2 * $0 }
    #expect(e2m3 == expected && e2m3[31] == 15)
    #expect(try decoded(MXFP6(isE3M2: true), rows: 1, columns: 32, stored)[31] == 56)
  }

  @Test func int8() throws {
    let weight = StoredTensor(.i8, [2, 2], [127, 0x81, 1, 0xFF])
    let halves = try decoded(
      BitsAndBytes8(), rows: 2, columns: 2,
      [.weight: weight, .scale: StoredTensor(.f32, [2], ElementType.f32.encode([2, 127]))])
    #expect(halves == [2, -2, 1, -1])
    let shifted = try decoded(
      ChannelIntegers(.channel, isSymmetric: false), rows: 2, columns: 2,
      [
        .weight: weight, .scale: StoredTensor(.bf16, [2, 1], ElementType.bf16.encode([1, 2])),
        .zeroPoint: StoredTensor(.i8, [2, 1], [27, 0xFF]),
      ])
    #expect(shifted == [100, -154, 4, 0])
  }
}
