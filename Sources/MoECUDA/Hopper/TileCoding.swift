// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import MoE
internal import Tensors

/// How codes stand in the words of a tile, and what stands there for the scale and the zero point or minimum of a group.
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

  /// What the codes and the groups of a matrix become.
  struct Codes {
    /// By code: the bits that it is on its way into a word.
    var bits: [UInt32]
    /// Of groups that have one number, by the indices of their scales; nil for what the kernels can't take.
    var number: (_ groups: Range<Int>) -> Number?
  }

  /// By code of a word: what it leaves there.
  let pieces: [[Piece]]
  /// [4 lanes, words, codes]: the column of a tile that each code is for.
  let order: [Int]
  /// Columns that have a number of their own; it divides the groups of the weights, or they divide it.
  let group: Int
  let bytes: Int
  /// nil where codes are not what the kernels take them for.
  let codes: @Sendable (CodedWeights) -> Codes?
}

// MARK: - Pairs of bf16

extension TileCoding {
  /// Codes whose neighbours lie in two halves of 16 bits while they are moved, in the order that the matrix instructions of
  /// bf16 take them.
  private static func pairs(
    bits: Int, _ pieces: [[Piece]], group: Int, bytes: Int, codes: @escaping @Sendable (CodedWeights) -> Codes?
  ) -> Self {
    let (words, count) = (bits, 32 / bits)
    let order = (0..<4 * words * count).map { place in
      let (lane, word, code) = (place / (words * count), place / count % words, place % count)
      return 128 / words * word + 8 * (code / 2) + 2 * lane + code % 2
    }
    return Self(
      pieces: pieces.flatMap { pair in [pair, pair.map { Piece(mask: $0.mask, rotation: ($0.rotation + 16) % 32) }] },
      order: order, group: group, bytes: bytes, codes: codes)
  }

  /// With a float's sign on top, and its own exponent and mantissa where those of bf16 meet.
  private static func floats(bits: Int, mantissa: Int) -> [UInt32] {
    (0..<UInt32(1) << bits).map { code in
      let sign = code >> (bits - 1)
      return sign << 15 | (code & (1 << (bits - 1) - 1)) << (7 - mantissa)
    }
  }

  private static func e2m1(group: Int, number: @escaping @Sendable (_ scale: Float) -> Number?) -> Self {
    let bits = floats(bits: 4, mantissa: 1)
    let pieces = [
      [Piece(mask: 0x81c0, rotation: 0)], [Piece(mask: 0x81c0, rotation: 4)], [Piece(mask: 0x81c0, rotation: 10)],
      [Piece(mask: 0x80c0, rotation: 6), Piece(mask: 0x0100, rotation: 30)],
    ]
    return pairs(bits: 4, pieces, group: group, bytes: 1) { weights in
      guard weights.table == MiniFloat.e2m1.table else { return nil }
      return Codes(bits: bits) { number(weights.scales[$0.lowerBound]) }
    }
  }

  static let mxfp4 = e2m1(group: 32) { scale in
    let scale = E8M0.encode(scale)
    // What lies below is less than 2⁻⁶³ of anything.
    guard scale <= 188 else { return nil }
    let exponent = UInt32(max(scale, 61)) + 66
    return Number(bits: exponent >> 1 | (exponent & 1) << 7, halvings: scale < 61 ? [toZero] : [])
  }

  /// The exponent from −9 on and 3 bits of mantissa, so that the small scales need no form of their own.
  static let nvfp4 = e2m1(group: 16) { scale in
    guard scale != 0 else { return Number(bits: 0, halvings: [toZero]) }
    guard scale > 0, (-9...8).contains(Int(scale.exponent)) else { return nil }
    let byte = UInt32(scale.exponent + 9) << 3 | scale.bitPattern >> 20 & 7
    return Number(bits: byte >> 4 | (byte & 15) << 4)
  }

  static func e4m3(group: Int) -> Self {
    let bits = floats(bits: 8, mantissa: 3)
    let pieces = [
      [Piece(mask: 0x8000, rotation: 8), Piece(mask: 0x07f0, rotation: 4)],
      [Piece(mask: 0x8000, rotation: 0), Piece(mask: 0x07f0, rotation: 28)],
    ]
    return pairs(bits: 8, pieces, group: group, bytes: 4) { weights in
      let isE4M3 = zip(weights.table, MiniFloat.e4m3fn.table).allSatisfy { $0 == $1 || $0.isNaN && $1.isNaN }
      guard isE4M3 else { return nil }
      return Codes(bits: bits) { groups in
        let scale = weights.scales[groups.lowerBound]
        guard abs(scale) < 0x1p66 else { return nil }
        return Number(bits: UInt32(BFloat16.encode(scale * 0x1p60)) * 0x10001)
      }
    }
  }

  /// Whole multiples of a power of two, in steps of it: of 4 bits from the least on, of 8 bits signed.
  ///
  /// - Parameter hasMinimums: Whether a number is added to a product, else a zero point taken from a code. It is for codes from
  ///   the middle of the table on, so that it is small beside the weights and little is lost where it is rounded.
  static func integers(bits: Int, group: Int, hasMinimums: Bool = false) -> Self {
    let pieces = (0..<16 / bits).map { [Piece(mask: 1 << UInt32(bits) - 1, rotation: (32 - bits * $0) % 32)] }
    // What a step stands for less: the zero point of 4 bits is taken from 128 more, and minima go with the middle.
    let bias: Float = bits == 8 ? 0 : hasMinimums ? -8 : 128
    return pairs(bits: bits, pieces, group: group, bytes: 4) { weights in
      let unit = CodedForm.unit(of: weights.table)
      let values = weights.table.map { $0 / unit }
      let (least, greatest) = (values.min() ?? 0, values.max() ?? 0)
      let isMinimum = if case .minimum = weights.correction { true } else { false }
      let middle = isMinimum ? ((least + greatest) / 2).rounded(.up) : greatest > 127 ? 128 : 0
      let shift = bits == 4 ? least : middle
      let allowed: ClosedRange<Float> = bits == 4 ? 0...15 : -128...127
      guard allowed.contains(least - shift), allowed.contains(greatest - shift), isMinimum || shift == 0 || !hasMinimums
      else { return nil }
      let steps = values.map { UInt32(bitPattern: Int32($0 - shift)) & (1 << UInt32(bits) - 1) }
      return Codes(bits: steps) { groups in
        let index = groups.lowerBound, scale = weights.scale(at: index) * unit
        guard scale.isFinite else { return nil }
        var other = (shift - bias) * scale - weights.minimum(at: index)
        if !hasMinimums {
          let zero = if case .zero(let zeros) = weights.correction { zeros[index] } else { Float(0) }
          other = bias + zero / unit - shift
          // In bf16 there are all whole numbers up to 256.
          guard (-256...256).contains(other), other == other.rounded() else { return nil }
        }
        return Number(bits: UInt32(BFloat16.encode(scale)) | UInt32(BFloat16.encode(other)) << 16)
      }
    }
  }
}

// MARK: - Codes that choose bytes

extension TileCoding {
  /// The magnitude of code i at bit 4i, where it chooses a byte; signs where they are those of bytes, or become so by one
  /// shift.
  private static let choosers: [[Piece]] = (0..<8).map { (code: Int) -> [Piece] in
    let sign = code < 4 ? 8 * code + 7 : 8 * (code - 4) + 3
    return [Piece(mask: 7, rotation: (32 - 4 * code) % 32), Piece(mask: 8, rotation: (35 - sign) % 32)]
  }

  /// Becomes e4m3: groups of a row's 256 columns, two tiles, are powers of two below the greatest of them, 11 at most.
  static let mxfp4E4M3 = Self(pieces: choosers, order: Array(0..<128), group: 128, bytes: 4) { weights in
    guard weights.table == MiniFloat.e2m1.table else { return nil }
    return Codes(bits: Array(0..<16)) { distances(of: weights, $0) }
  }

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

  /// More than enough halvings for nothing to remain.
  private static let toZero = 16

  /// A code of fp4 for a weight divided by 2ⁿ, rounded to nearest, ties to even.
  static func halved(_ code: UInt8, times count: Int) -> UInt8 {
    guard count > 0 else { return code }
    let halved = MiniFloat.e2m1.encode(MiniFloat.e2m1.decode(code) / Float(1 << count))
    // A zero has no sign.
    return halved & 7 == 0 ? 0 : halved
  }
}
