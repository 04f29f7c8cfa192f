// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import MoE
import Tensors
import Testing

/// Vectors worked out by hand (section 6.0.1 of the notes on the reference).
@Suite struct EncodingVectorTests {
  private func encoded(
    _ scheme: some QuantizationScheme, _ weights: [Float], rows: Int = 1
  ) throws -> [TensorRole: StoredTensor] {
    try scheme.encode(weights, rows: rows, columns: weights.count / rows).tensors
  }

  private func padded(_ values: [Float], to count: Int) -> [Float] {
    values + [Float](repeating: 0, count: count - values.count)
  }

  @Test(
    arguments: [(0.75, -3), (1, -2), (5, 0), (6, 0), (6.99, 0), (7, 1), (0, -127), (0x1p126, 124)] as [(Float, Int)])
  func scaleExponentOfMXFP4(greatest: Float, exponent: Int) throws {
    for sign: Float in [1, -1] {
      let scale = try encoded(MXFP4(), padded([sign * greatest], to: 32))[.scale]!
      #expect(scale.bytes == [UInt8(exponent + 127)])
    }
  }

  /// 7 / 2 = 3.5 is between 3 and 4, and becomes 4.
  @Test func sevenBecomesEight() throws {
    let stored = try MXFP4().encode(padded([7, -7], to: 32), rows: 1, columns: 32)
    #expect(try MXFP4().decoder(of: stored).decode().prefix(2) == [8, -8])
    // Low nibble first: 4 is code 6.
    #expect(stored.tensors[.weight]!.bytes[0] == 0xE6)
  }

  @Test func nibblesOfMXFP4() throws {
    let tensors = try encoded(MXFP4(), padded([-1.5, 1, 6], to: 32))
    #expect(tensors[.weight]!.bytes[0] == 0x2B && tensors[.scale]!.bytes == [127])
    let deepSeek = try encoded(MXFP4(.deepSeekV4), padded([-1.5, 1, 6], to: 32))
    #expect(deepSeek[.weight]!.elementType == .i8 && deepSeek[.scale]!.elementType == .f8e8m0)
    #expect(deepSeek[.weight]!.bytes == tensors[.weight]!.bytes && deepSeek[.scale]!.bytes == [127])
  }

  @Test(arguments: [(448, 127), (449, 128), (224, 126), (0, 0), (0x1p-130, 0)] as [(Float, UInt8)])
  func scaleOfMXFP8(greatest: Float, code: UInt8) throws {
    #expect(try encoded(MXFP8(), padded([greatest], to: 32))[.scale]!.bytes == [code])
  }

  /// With 448 as the greatest the scale is 1: ties to even, and two below the least normal value.
  @Test func roundingOfFP8() throws {
    let values: [Float] = [448, 17, 19, 0x1p-10, 0x1.8p-10, -17, -0.0, 463]
    let decoded: [Float] = [448, 16, 20, 0, 0x1p-9, -16, 0, 448]
    let rounded = values.map { MiniFloat.e4m3fn.decode(MiniFloat.e4m3fn.encode($0)) }
    #expect(rounded == decoded)
    let stored = try FP8(.tensor).encode(Array(values.prefix(7)), rows: 1, columns: 7)
    #expect(stored.tensors[.scale]!.bytes == ElementType.f32.encode([1]))
    #expect(try FP8(.tensor).decoder(of: stored).decode() == Array(decoded.prefix(7)))
    #expect(stored.tensors[.weight]!.bytes == [0x7E, 0x58, 0x5A, 0, 1, 0xD8, 0x80])
  }

  /// Every format, every code and the middles between codes: many at a time as one at a time.
  @Test(arguments: MiniFloat.all.indices) func manyAtATime(index: Int) {
    let format = MiniFloat.all[index]
    let table = format.table.filter(\.isFinite).sorted()
    var values = table + zip(table, table.dropFirst()).map { ($0 + $1) / 2 }
    values += values.flatMap { [$0.nextUp, $0.nextDown, $0 * 1.03] } + [0, -0.0, 1e30, -1e30, 0x1p-140]
    let multiplier: Float = format.specials == .ieee ? 0.99 : 1
    var codes = [UInt8](repeating: 0xAA, count: values.count)
    var span = codes.mutableSpan
    format.encode(values.span, times: multiplier, into: &span)
    #expect(
      codes == values.map { format.encode(min(max($0 * multiplier, -format.greatestFinite), format.greatestFinite)) })
  }

  /// 5 of 5 is 6 · 448 of the whole: thresholds 0.25 … 5 fall to the even code.
  @Test func thresholdsOfNVFP4() throws {
    let values = padded([6, 0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5, -0.25, -5], to: 16)
    for isInverse in [true, false] {
      let scheme = NVFP4(isInverse: isInverse)
      let stored = try scheme.encode(values, rows: 1, columns: 16)
      #expect(stored.tensors[.scale]!.bytes == [0x7E])
      #expect(stored.tensors[.globalScale]!.bytes == ElementType.f32.encode([isInverse ? 448 : 1 / 448]))
      let decoded = try scheme.decoder(of: stored).decode()
      #expect(zip(decoded, [6, 0, 1, 1, 2, 2, 4, 4, 0, -4] as [Float]).allSatisfy { ($0 - $1).magnitude < 1e-6 })
    }
  }

  @Test func gptqWordRunsAlongInputs() throws {
    // One output group of 8 inputs −8 … −1: with the scale 1 their codes are 0 … 7.
    let row: [Float] = [-8, -7, -6, -5, -4, -3, -2, -1]
    let weights = (0..<8).flatMap { _ in row }
    let tensors = try encoded(GPTQ(bits: 4, groupSize: 8), weights, rows: 8)
    #expect(Array(tensors[.weight]!.bytes.prefix(4)) == [0x10, 0x32, 0x54, 0x76])
    #expect(tensors[.zeroPoint]!.bytes == [0x77, 0x77, 0x77, 0x77])
    #expect(tensors[.scale]!.bytes.prefix(2) == [0x00, 0x3C])
  }

  @Test func awqWordInterleavesOutputs() throws {
    // The values 0, 4, 1, 5, 2, 6, 3, 7 of eight outputs at one input, with the codes 0 and 15 to fix scale and zero.
    let first: [Float] = [0, 4, 1, 5, 2, 6, 3, 7]
    let weights = first.flatMap { (value: Float) -> [Float] in [value, 0, 15, 0] }
    let tensors = try encoded(AWQ(groupSize: 4), weights, rows: 8)
    #expect(Array(tensors[.weight]!.bytes.prefix(4)) == [0x10, 0x32, 0x54, 0x76])
    #expect(tensors[.zeroPoint]!.bytes == [0, 0, 0, 0])
  }

  @Test func highNibbleFirstInBitsAndBytes() throws {
    let tensors = try encoded(BitsAndBytes4(blockSize: 2), [2, -2, -3, 0], rows: 2)
    #expect(tensors[.weight]!.bytes == [0xF0, 0x07])
    #expect(tensors[.scale]!.bytes == ElementType.f32.encode([2, 3]))
  }

  @Test func powersOfTwoAsScales() throws {
    let scheme = FP8(.block(rows: 2, columns: 2), scaleType: .f8e8m0)
    let tensors = try encoded(scheme, [448, 0, 0, 0, 0, 449], rows: 2)
    // The block at the edge is one column wide.
    #expect(tensors[.scale]!.shape == [1, 2] && tensors[.scale]!.bytes == [127, 128])
  }
}
