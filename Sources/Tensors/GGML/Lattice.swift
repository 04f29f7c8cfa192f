// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// The codebook of an IQ type: a few points of a lattice in 8 or 4 dimensions, told by their number.
///
/// The points are those of ggml's tables (`ggml-common.h`, MIT licence), in their order. That order is ascending when
/// the levels of a point are read as the digits of a number, the first the lowest: so each point is written as one
/// character, its distance to the point before it (`Lattice+Points.swift`).
struct Lattice: Sendable {
  /// The coordinates of each point, end to end: `[count * width]`.
  let coordinates: [Int8]
  let count: Int

  /// - Parameters:
  ///   - text: The points; a character `c` of `0` … `}` is a distance of `c − "0" + 1`, `~` adds 78 to the next one.
  ///   - levels: What a coordinate can be.
  init(_ text: String, width: Int, levels: [Int8]) {
    var coordinates: [Int8] = []
    var number = -1
    for byte in text.utf8 where byte >= 0x30 {  // no line ends
      number += Int(byte) - 0x30
      if byte == 0x7E { continue }
      number += 1
      var rest = number
      for _ in 0..<width {
        coordinates.append(levels[rest % levels.count])
        rest /= levels.count
      }
    }
    self.coordinates = coordinates
    count = coordinates.count / width
  }
}

extension Lattice {
  static let iq1 = Lattice(LatticePoints.iq1, width: 8, levels: [-1, 0, 1])
  static let iq2XXS = Lattice(LatticePoints.iq2XXS, width: 8, levels: [8, 25, 43])
  static let iq2XS = Lattice(LatticePoints.iq2XS, width: 8, levels: [8, 25, 43])
  static let iq2S = Lattice(LatticePoints.iq2S, width: 8, levels: [8, 25, 43])
  static let iq3XXS = Lattice(LatticePoints.iq3XXS, width: 4, levels: [4, 12, 20, 28, 36, 44, 52, 62])
  static let iq3S = Lattice(LatticePoints.iq3S, width: 4, levels: [1, 3, 5, 7, 9, 11, 13, 15])
}

/// The signs of eight elements, told by 7 bits: the eighth makes their number even.
@inline(__always)
func evenSigns(_ bits: UInt32) -> UInt8 {
  let seven = UInt8(truncatingIfNeeded: bits & 127)
  return seven | UInt8(truncatingIfNeeded: seven.nonzeroBitCount & 1) << 7
}

extension BlockFloats {
  /// Writes `count` elements from `start` on: scale · coordinate of the point that begins at `point`, negated where
  /// `signs` has a bit.
  @inline(__always)
  func set(_ start: Int, count: Int, _ scale: Float, _ lattice: Span<Int8>, _ point: Int, signs: UInt8) {
    for index in 0..<count {
      let value = scale * Float(lattice[point + index])
      self[start + index] = signs >> UInt8(index) & 1 == 0 ? value : -value
    }
  }
}
