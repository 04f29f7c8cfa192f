// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// 256 elements as sub-blocks d · sc · q − dmin · m: whole numbers sc and m for each, and two 16-bit floats for all.
struct AffineSuperBlock {
  /// The elements of each sub-block; those of 16 stand twice.
  let parts: [Vector32]
  /// The greatest q.
  let levels: Float
  /// The greatest sc and m.
  let greatest: Float

  private(set) var scale: Float = 0
  private(set) var minimumScale: Float = 0
  private(set) var scales: [Float]
  private(set) var minima: [Float]

  init(_ parts: [Vector32], levels: Float, greatest: Float) {
    (self.parts, self.levels, self.greatest) = (parts, levels, greatest)
    let fits = parts.map { AffineFit($0, levels: levels) }
    (scales, minima) = (fits.map(\.scale), fits.map(\.minimum))
    scale = storable(scales.max()! / greatest)
    minimumScale = storable(minima.max()! / greatest)
    scales = scales.map { quantized($0, scale) }
    minima = minima.map { quantized($0, minimumScale) }
    refineParts()
    refineScales()
  }

  /// The q of a sub-block.
  func codes(_ part: Int) -> SIMD32<UInt8> { codes(part, scales[part], minima[part]).codes }

  private func codes(_ part: Int, _ scale: Float, _ minimum: Float) -> Vector32 {
    AffineFit.codes(parts[part], self.scale * scale, minimumScale * minimum, levels)
  }

  private func quantized(_ value: Float, _ unit: Float) -> Float {
    let code = (value * inverse(unit)).rounded()
    return code >= 0 ? min(code, greatest) : 0
  }

  /// Rounding sc and m one by one is not the best that they can be together: their neighbours are tried.
  private mutating func refineParts() {
    for part in parts.indices {
      var least = Float.infinity
      let (scale, minimum) = (scales[part], minima[part])
      for scale in [scale, scale - 1, scale + 1] where (0...greatest).contains(scale) {
        for minimum in [minimum, minimum - 1, minimum + 1] where (0...greatest).contains(minimum) {
          let error = error(part, scale, minimum)
          if error < least { (least, scales[part], minima[part]) = (error, scale, minimum) }
        }
      }
    }
  }

  /// d and dmin of the least squared error for the codes there are; kept if, after rounding, it is smaller.
  private mutating func refineScales() {
    var (aa, ab, bb, ax, bx) = (Double(0), Double(0), Double(0), Double(0), Double(0))
    for part in parts.indices {
      let a = codes(part, scales[part], minima[part]) * scales[part]
      let (b, sum) = (Double(minima[part]), Double(a.sum()))
      aa += Double((a * a).sum())
      ab -= b * sum
      bb += 32 * b * b
      ax += Double((a * parts[part]).sum())
      bx -= b * Double(parts[part].sum())
    }
    let determinant = aa * bb - ab * ab
    var other = self
    if determinant > 0 {
      other.scale = storable(Float((ax * bb - bx * ab) / determinant))
      other.minimumScale = storable(Float((bx * aa - ax * ab) / determinant))
    } else if aa > 0 {
      other.scale = storable(Float(ax / aa))
    }
    guard other.scale >= 0, other.minimumScale >= 0, other.error < error else { return }
    self = other
  }

  private func error(_ part: Int, _ scale: Float, _ minimum: Float) -> Float {
    let rest = codes(part, scale, minimum) * (self.scale * scale) - minimumScale * minimum - parts[part]
    return (rest * rest).sum()
  }

  private var error: Float { parts.indices.reduce(0) { $0 + error($1, scales[$1], minima[$1]) } }
}

/// What a 16-bit float makes of a scale; beyond its range, the greatest one; 0 of a NaN.
func storable(_ scale: Float) -> Float {
  let limit = Float(Float16.greatestFiniteMagnitude)
  return scale.isNaN ? 0 : Float(Float16(min(max(scale, -limit), limit)))
}
