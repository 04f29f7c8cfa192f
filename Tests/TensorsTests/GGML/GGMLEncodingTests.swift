// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Foundation
import MoE
import Tensors
import Testing

// The script that made the table of digests, beside `random_bytes` and `digest` of `GGMLGoldenTests`:
//
// ```python
// n = 65536
// words = random_bytes(11, 4 * n).view(np.uint32) >> 8
// x = (words.astype(np.float32) - np.float32(1 << 23)) * np.float32(2.0 ** -23)
// x = x * (np.float32(2) ** ((np.arange(n) // 256) % 24 - 12).astype(np.float32))
// x[:256] = 0; x[256:512] = 3; x[512:768] = -0.5
// for t in gguf.GGMLQuantizationType:
//     try: b = np.ascontiguousarray(gguf.quants.quantize(x, t)).view(np.uint8).reshape(-1)
//     except NotImplementedError: continue
//     print(t.name, len(b), hex(digest(b)))
// ```

@Suite struct GGMLEncodingTests {
  /// The values of the script: 65,536 uniform ones, of another magnitude every 256, and three constant runs.
  static let values: [Float] = {
    let bytes = randomBytes(seed: 11, count: 4 * 65536)
    return (0..<65536).map { index in
      switch index / 256 {
      case 0: return 0
      case 1: return 3
      case 2: return -0.5
      default:
        let word = (0..<4).reduce(UInt32(0)) { $0 | UInt32(bytes[4 * index + $1]) << UInt32(8 * $1) }
        let exponent = index / 256 % 24 - 12
        return (Float(word >> 8) - 0x1p23) * Float(sign: .plus, exponent: exponent - 23, significand: 1)
      }
    }
  }()

  @Test(
    arguments: [
      (.f32, 0x4163_AACD_637A_F391), (.f16, 0xD02E_C26A_F831_EDB2), (.q4_0, 0x8B04_E4CE_D722_8772),
      (.q4_1, 0xC44E_B764_9921_1EA1), (.q5_0, 0x104B_F898_E466_6A13), (.q5_1, 0xEFBF_A660_2837_DDBE),
      (.q8_0, 0x8939_4797_D07B_8CCE), (.bf16, 0x2FAC_2FF4_CAEF_8C56), (.tq1_0, 0xF38C_B4CA_3856_7AA6),
      (.tq2_0, 0x5CCE_CBBC_D7F7_B6A5), (.mxfp4, 0x660F_BF19_8D98_79A9),
    ] as [(GGMLType, UInt64)])
  func encodesAsTheReference(type: GGMLType, expected: UInt64) {
    let digest = type.encode(Self.values).reduce(0xCBF2_9CE4_8422_2325 as UInt64) {
      ($0 ^ UInt64($1)) &* 0x100_0000_01B3
    }
    #expect(digest == expected)
  }

  /// Values of a normal distribution of deviation 0.02.
  static let gaussian: [Float] = {
    var generator = SplitMix64(seed: 5)
    func uniform() -> Double { Double(generator.next() >> 11) * 0x1p-53 }
    return (0..<1 << 15).map { _ in
      Float((-2 * log(uniform() + 0x1p-53)).squareRoot() * cos(2 * .pi * uniform())) * 0.02
    }
  }()

  private func relativeError(_ values: [Float], _ decoded: [Float]) -> Double {
    let squares = zip(values, decoded).reduce(0.0) { $0 + Double($1.0 - $1.1) * Double($1.0 - $1.1) }
    return (squares / values.reduce(0.0) { $0 + Double($1) * Double($1) }).squareRoot()
  }

  /// The error of the root mean square over that of the weights, for normal weights, in percent.
  ///
  /// What uniform steps of 2^b in a block give is 8.6 for Q4_0, and twice as little for each bit more. A scale of 256
  /// divided among its sub-blocks must not cost more than the bits it saves: Q4_K below Q4_0 (8.6) and Q4_1 (7.8) of
  /// as many bits or more, Q5_K below Q5_1 (3.8), IQ4_XS at 4.25 bits below Q4_0 at 4.5. The bounds are 2 % above what
  /// is reached; the last column bounds what a second pass over the decoded values changes.
  @Test(
    arguments: [
      (.q8_0, 0.545, 0), (.q6_K, 1.76, 0.2), (.q5_K, 3.53, 0.8), (.q5_0, 4.36, 0), (.q4_K, 7.14, 0.8),
      (.iq4_NL, 7.52, 0.1), (.iq4_XS, 7.57, 0.8), (.q4_0, 8.77, 0), (.mxfp4, 11.65, 0), (.q3_K, 14.64, 0.3),
      (.q2_K, 26.8, 4),
    ] as [(GGMLType, Double, Double)])
  func errorOfNormalWeights(type: GGMLType, bound: Double, secondPass: Double) {
    let decoded = type.decode(type.encode(Self.gaussian))
    let found = 100 * relativeError(Self.gaussian, decoded)
    #expect(found <= bound && found > 0.9 * bound)
    #expect(100 * relativeError(decoded, type.decode(type.encode(decoded))) <= secondPass)
  }

  /// Weights of which a few are far greater than the others: no code and no scale may overflow.
  @Test(arguments: GGMLType.encodable)
  func outliers(type: GGMLType) {
    var values = Self.gaussian
    for index in stride(from: 100, to: values.count, by: 771) { values[index] *= 1000 }
    let decoded = type.decode(type.encode(values))
    #expect(decoded.allSatisfy { $0.isFinite })
    let bound = type.bitsPerElement < 3 ? 0.35 : 0.2
    #expect(relativeError(values, decoded) < bound)
  }

  @Test(arguments: GGMLType.encodable)
  func constantBlocks(type: GGMLType) {
    for value in [0, 3, -3, 0x1p-8, -0x1p-8] as [Float] {
      let decoded = type.decode(type.encode([Float](repeating: value, count: 512)))
      #expect(decoded.allSatisfy { ($0 - value).magnitude <= 0.13 * value.magnitude }, "\(value): \(decoded[0])")
    }
  }

  /// No input traps.
  @Test(arguments: GGMLType.encodable)
  func valuesOutOfRange(type: GGMLType) {
    let values: [Float] = [.nan, .infinity, -.infinity, .greatestFiniteMagnitude, -1e38, .leastNonzeroMagnitude, -0.0]
    for value in values {
      #expect(type.encode([value] + [Float](repeating: 1, count: 511)).count == type.byteCount(ofRow: 512))
      #expect(type.encode([Float](repeating: value, count: 512)).count == type.byteCount(ofRow: 512))
    }
    #expect(type.encode([]) == [])
  }

  @Test func encodableTypes() {
    let others = GGMLType.allCases.filter { !$0.isEncodable }
    let lattices: [GGMLType] = [
      .iq2_XXS, .iq2_XS, .iq3_XXS, .iq1_S, .iq3_S, .iq2_S, .i8, .i16, .i32, .i64, .iq1_M, .nvfp4,
    ]
    #expect(others == lattices)
  }
}
