// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import MoE
internal import Tensors

/// How codes stand in the words of a tile, and what stands there for the scale and the zero point of a group.
struct TileCoding: Sendable {
  /// Bits of a code, rotated to the right.
  struct Piece {
    var mask: UInt32
    var rotation: Int
  }

  struct Number {
    var bits: UInt32
    /// How often the weights of each group are halved before they become codes: of fp4 only; none where it is empty.
    var halvings: [Int] = []
  }

  /// By code: the bits that it is on its way into a word.
  let bits: [UInt32]
  /// By code of a word: what it leaves there.
  let pieces: [[Piece]]
  /// [4 lanes, words, codes]: the column of a tile that each code is for.
  let order: [Int]
  /// Columns that have a number of their own; it divides the groups of the weights, or they divide it.
  let group: Int
  let bytes: Int
  /// Whether codes are what the kernels take them for.
  let accepts: @Sendable (CodedWeights) -> Bool
  /// nil for what the kernels can't take.
  let number: @Sendable (CodedWeights, _ groups: Range<Int>) -> Number?
}

extension TileCoding {
  /// With a float's sign on top, and its own exponent and mantissa where those of bf16 meet.
  private static func floats(bits: Int, mantissa: Int) -> [UInt32] {
    (0..<UInt32(1) << bits).map { code in
      let sign = code >> (bits - 1)
      return sign << 15 | (code & (1 << (bits - 1) - 1)) << (7 - mantissa)
    }
  }

  /// Pairs of neighbours, which lie in two halves of 16 bits while they are moved.
  private static func pairs(_ pieces: [[Piece]]) -> [[Piece]] {
    pieces.flatMap { pair in [pair, pair.map { Piece(mask: $0.mask, rotation: ($0.rotation + 16) % 32) }] }
  }

  /// Pairs in the order that the matrix instructions of bf16 take them.
  private static func pairOrder(bits: Int) -> [Int] {
    let (words, codes) = (bits, 32 / bits)
    return (0..<4 * words * codes).map { place in
      let (lane, word, code) = (place / (words * codes), place / codes % words, place % codes)
      return 128 / words * word + 8 * (code / 2) + 2 * lane + code % 2
    }
  }

  private static let e2m1 = (
    bits: floats(bits: 4, mantissa: 1), order: pairOrder(bits: 4),
    pieces: pairs([
      [Piece(mask: 0x81c0, rotation: 0)], [Piece(mask: 0x81c0, rotation: 4)], [Piece(mask: 0x81c0, rotation: 10)],
      [Piece(mask: 0x80c0, rotation: 6), Piece(mask: 0x0100, rotation: 30)],
    ])
  )

  /// More than enough halvings for nothing to remain.
  private static let toZero = 16

  /// A code of fp4 for a weight divided by 2ⁿ, rounded to nearest, ties to even.
  static func halved(_ code: UInt8, times count: Int) -> UInt8 {
    guard count > 0 else { return code }
    let halved = MiniFloat.e2m1.encode(MiniFloat.e2m1.decode(code) / Float(1 << count))
    // A zero has no sign.
    return halved & 7 == 0 ? 0 : halved
  }

  static let mxfp4 = Self(
    bits: e2m1.bits, pieces: e2m1.pieces, order: e2m1.order, group: 32, bytes: 1,
    accepts: { $0.table == MiniFloat.e2m1.table }
  ) { weights, groups in
    let scale = E8M0.encode(weights.scales[groups.lowerBound])
    // What lies below is less than 2⁻⁶³ of anything.
    guard scale <= 188 else { return nil }
    let exponent = UInt32(max(scale, 61)) + 66
    return Number(bits: exponent >> 1 | (exponent & 1) << 7, halvings: scale < 61 ? [toZero] : [])
  }

  /// The magnitude of code i at bit 4i, where it chooses a byte; signs where they are those of bytes, or become so by one shift.
  private static let choosers: [[Piece]] = (0..<8).map { (code: Int) -> [Piece] in
    let sign = code < 4 ? 8 * code + 7 : 8 * (code - 4) + 3
    return [Piece(mask: 7, rotation: (32 - 4 * code) % 32), Piece(mask: 8, rotation: (35 - sign) % 32)]
  }

  /// Becomes e4m3: groups of a row's 256 columns, two tiles, are powers of two below the greatest of them, 11 at most.
  static let mxfp4E4M3 = Self(
    bits: Array(0..<16), pieces: choosers, order: Array(0..<128), group: 128, bytes: 4,
    accepts: { $0.table == MiniFloat.e2m1.table }, number: distances)

  private static func distances(of weights: CodedWeights, _ groups: Range<Int>) -> Number {
    func exponents(_ groups: Range<Int>) -> [Int] { groups.map { Int(E8M0.encode(weights.scales[$0])) } }
    let row = CodedWeights.count(weights.columns, by: weights.group), start = groups.lowerBound / row * row
    let first = start + (groups.lowerBound - start) / 8 * 8
    // ½ times the greatest becomes 2⁵; the factor that this takes is no subnormal number.
    let (leastHalf, greatestHalf, shift) = (1, 12, 6)
    let greatest = exponents(first..<min(first + 8, start + row)).max() ?? 0
    let factor = UInt32(max(greatest - shift, 1))
    var number = Number(bits: (factor & 15) << 23 | (factor >> 4) << 7)
    for (index, exponent) in exponents(groups).enumerated() {
      let half = greatestHalf - (Int(factor) + shift - exponent)
      number.bits |= UInt32(max(half, leastHalf)) << (8 * index + 3)
      number.halvings.append(min(max(leastHalf - half, 0), toZero))
    }
    return number
  }

  /// The exponent from −9 on and 3 bits of mantissa, so that the small scales need no form of their own.
  static let nvfp4 = Self(
    bits: e2m1.bits, pieces: e2m1.pieces, order: e2m1.order, group: 16, bytes: 1,
    accepts: { $0.table == MiniFloat.e2m1.table }
  ) { weights, groups in
    let scale = weights.scales[groups.lowerBound]
    guard scale != 0 else { return Number(bits: 0, halvings: [toZero]) }
    guard scale > 0, (-9...8).contains(Int(scale.exponent)) else { return nil }
    let byte = UInt32(scale.exponent + 9) << 3 | scale.bitPattern >> 20 & 7
    return Number(bits: byte >> 4 | (byte & 15) << 4)
  }

  static func int4(group: Int) -> Self {
    Self(
      bits: Array(0..<16), pieces: pairs((0..<4).map { [Piece(mask: 0xf, rotation: (32 - 4 * $0) % 32)] }),
      order: pairOrder(bits: 4),
      group: group, bytes: 4,
      accepts: { $0.table.indices.allSatisfy { [table = $0.table] in table[$0] == table[0] + Float($0) } }
    ) { weights, groups in
      let group = groups.lowerBound
      let zero = if case .zero(let zeros) = weights.correction { zeros[group] } else { Float(0) }
      // In bf16 there are all whole numbers up to 256.
      let middle = 128 + zero - weights.table[0]
      guard (0...256).contains(middle), middle == middle.rounded() else { return nil }
      let bits = UInt32(BFloat16.encode(weights.scales[group])) | UInt32(BFloat16.encode(middle)) << 16
      return Number(bits: bits)
    }
  }

  static func e4m3(group: Int) -> Self {
    Self(
      bits: floats(bits: 8, mantissa: 3),
      pieces: pairs([
        [Piece(mask: 0x8000, rotation: 8), Piece(mask: 0x07f0, rotation: 4)],
        [Piece(mask: 0x8000, rotation: 0), Piece(mask: 0x07f0, rotation: 28)],
      ]),
      order: pairOrder(bits: 8),
      group: group, bytes: 4,
      accepts: {
        $0.table.indices.allSatisfy { [table = $0.table] in
          let value = MiniFloat.e4m3fn.table[$0]
          return table[$0] == value || table[$0].isNaN && value.isNaN
        }
      }
    ) { weights, groups in
      let scale = weights.scales[groups.lowerBound]
      guard abs(scale) < 0x1p66 else { return nil }
      return Number(bits: UInt32(BFloat16.encode(scale * 0x1p60)) * 0x10001)
    }
  }
}
