// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import MoE
internal import Tensors

/// How codes stand in the words of a tile, and what stands there for the scale and the zero point or minimum of a group.
struct TileCoding: Sendable {
  /// Bits of both halves of a word's pair, rotated to the right.
  struct Piece {
    var pair: Int
    /// Of a half.
    var mask: UInt32
    var rotation: Int
  }

  struct Number {
    var bits: UInt32
    /// Whether nothing remains of the group's weights.
    var isZero = false
  }

  /// What the codes and the groups of a matrix become.
  struct Codes {
    /// By code: the 16 bits that it is while it is half of a pair.
    var halves: [UInt32]
    /// By the index of a scale; nil for what the kernels can't take.
    var number: (_ index: Int) -> Number?
  }

  /// A word is the union of these.
  let pieces: [Piece]
  /// Columns that have a number of their own; it divides the groups of the weights.
  let group: Int
  let bytes: Int
  /// nil where codes are not what the kernels take them for.
  let codes: @Sendable (CodedWeights) -> Codes?
}

// MARK: - Floats

extension TileCoding {
  /// With a float's sign on top, and its own exponent and mantissa where those of bf16 meet.
  private static func halves(bits: Int, mantissa: Int) -> [UInt32] {
    (0..<UInt32(1) << bits).map { code in
      let sign = code >> (bits - 1)
      return sign << 15 | (code & (1 << (bits - 1) - 1)) << (7 - mantissa)
    }
  }

  private static func e2m1(group: Int, number: @escaping @Sendable (_ scale: Float) -> Number?) -> Self {
    let halves = halves(bits: 4, mantissa: 1)
    return Self(
      pieces: [
        Piece(pair: 0, mask: 0x81c0, rotation: 0), Piece(pair: 1, mask: 0x81c0, rotation: 4),
        Piece(pair: 2, mask: 0x81c0, rotation: 10), Piece(pair: 3, mask: 0x80c0, rotation: 6),
        Piece(pair: 3, mask: 0x0100, rotation: 30),
      ], group: group, bytes: 1
    ) { weights in
      guard weights.table == MiniFloat.e2m1.table else { return nil }
      return Codes(halves: halves) { number(weights.scales[$0]) }
    }
  }

  static let mxfp4 = e2m1(group: 32) { scale in
    let scale = E8M0.encode(scale)
    // What lies below is less than 2⁻⁶³ of anything.
    guard scale <= 188 else { return nil }
    let exponent = UInt32(max(scale, 61)) + 66
    return Number(bits: exponent >> 1 | (exponent & 1) << 7, isZero: scale < 61)
  }

  /// The exponent from −9 on and 3 bits of mantissa, so that the small scales need no form of their own.
  static let nvfp4 = e2m1(group: 16) { scale in
    guard scale != 0 else { return Number(bits: 0, isZero: true) }
    guard scale > 0, (-9...8).contains(Int(scale.exponent)) else { return nil }
    let byte = UInt32(scale.exponent + 9) << 3 | scale.bitPattern >> 20 & 7
    return Number(bits: byte >> 4 | (byte & 15) << 4)
  }

  static func e4m3(group: Int) -> Self {
    let halves = halves(bits: 8, mantissa: 3)
    return Self(
      pieces: [
        Piece(pair: 0, mask: 0x8000, rotation: 8), Piece(pair: 0, mask: 0x07f0, rotation: 4),
        Piece(pair: 1, mask: 0x8000, rotation: 0), Piece(pair: 1, mask: 0x07f0, rotation: 28),
      ], group: group, bytes: 4
    ) { weights in
      let isE4M3 = zip(weights.table, MiniFloat.e4m3fn.table).allSatisfy { $0 == $1 || $0.isNaN && $1.isNaN }
      guard isE4M3 else { return nil }
      return Codes(halves: halves) { index in
        let scale = weights.scales[index]
        guard abs(scale) < 0x1p66 else { return nil }
        return Number(bits: UInt32(BFloat16.encode(scale * 0x1p60)) * 0x10001)
      }
    }
  }
}

// MARK: - Integers

extension TileCoding {
  /// Whole multiples of a power of two, in steps of it: of 4 bits from the least on, of 8 bits signed.
  ///
  /// - Parameter hasMinimums: Whether a product is less by a minimum, else a code by a zero point.
  static func integers(bits: Int, group: Int, hasMinimums: Bool = false) -> Self {
    let pieces =
      bits == 4
      ? (0..<4).map { Piece(pair: $0, mask: 0xf, rotation: (32 - 4 * $0) % 32) }
      : (0..<2).map { Piece(pair: $0, mask: 0xff, rotation: (32 - 8 * $0) % 32) }
    // What kernels have added to a code before the zero point is taken away.
    let bias: Float = bits == 4 ? 128 : 0
    return Self(pieces: pieces, group: group, bytes: 4) { weights in
      let unit = CodedForm.unit(of: weights.table)
      let values = weights.table.map { $0 / unit }
      let (least, greatest) = (values.min() ?? 0, values.max() ?? 0)
      let shift = bits == 4 ? least : greatest > 127 ? 128 : 0
      let allowed: ClosedRange<Float> = bits == 4 ? 0...15 : -128...127
      guard allowed.contains(least - shift), allowed.contains(greatest - shift), shift == 0 || !hasMinimums else {
        return nil
      }
      let halves = values.map { UInt32(bitPattern: Int32($0 - shift)) & (1 << UInt32(bits) - 1) }
      return Codes(halves: halves) { index in
        let scale = weights.scale(at: index) * unit
        guard scale.isFinite else { return nil }
        var other = -weights.minimum(at: index)
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
