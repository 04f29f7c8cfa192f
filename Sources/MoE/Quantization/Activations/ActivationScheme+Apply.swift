// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Tensors

extension ActivationScheme {
  /// Replaces the input of a product by what its codes and scales stand for (fake quantisation).
  ///
  /// Values are rounded to 32 bits first; scales and codes follow from them in 32 bits, as on an accelerator, and the
  /// product of a code and its scale is exact. Rows of zeros stay zeros.
  ///
  /// | scheme | scale | code |
  /// |---|---|---|
  /// | fp8 per tensor | stored, or max(a / 448, 1 / (448 · 512)) | e4m3(x · (1 / s)) |
  /// | fp8 per token | max(min(a, limit) / 448, 1 / (448 · 512)) | e4m3(x / s) |
  /// | fp8 per group | max(a, 1e-10) / 448, perhaps up to a power of two | e4m3(x / s) |
  /// | int8 per tensor | stored, or max(a / 127, 1e-10) | x / s, ties to even, −128…127 |
  /// | int8 per token | max(a, 1e-10) / 127 | x · (127 / a), ties away from 0 |
  /// | mxfp8 | a / 448 up to a power of two | e4m3(x / s) |
  /// | mxfp4 | a, its mantissa rounded at 1.5, down to a power of two, / 4 | e2m1(x / s) |
  /// | nvfp4 | e4m3(g · a / 6) / g, with g = 1 / stored or 448 · 6 / a of the batch | e2m1(x · g / e4m3) |
  ///
  /// a is the greatest magnitude of what shares the scale; e4m3 and e2m1 round to nearest, ties to even, and saturate.
  /// The last group of a row may be short.
  ///
  /// - Parameters:
  ///   - rows: all rows `[rows, columns]` that a call multiplies, one for each (token, slot) with an expert.
  ///   - scale: the static scale.
  /// - Throws: `invalidArgument` without a scale that is needed, `unsupportedByBackend` for an unknown scheme.
  public func apply(to rows: inout [[Double]], scale: Float? = nil) throws(MoEError) {
    guard let rule = try rule(for: rows, scale) else { return }
    for row in rows.indices { rule.apply(to: &rows[row]) }
  }

  /// What is done to the values that share a scale; nil for nothing.
  private func rule(for rows: [[Double]], _ scale: Float?) throws(MoEError) -> QuantizationRule? {
    if isStatic && scale == nil {
      throw MoEError(.invalidArgument, "the static scale of the activations was never set", subject: description)
    }
    switch self {
    case .unquantized: return nil
    case .unknown(let text):
      throw MoEError(.unsupportedByBackend, "activations of this kind are not known", found: text)
    case .tensor(.fp8, _): return .fp8(of: scale ?? QuantizationRule.fp8Scale(rows.greatestMagnitude))
    case .tensor(.int8, _): return .int8(of: scale ?? max(rows.greatestMagnitude / 127, 1e-10))
    case .token(.fp8, let limit): return .fp8(limit: limit ?? .infinity)
    case .token(.int8, let limit): return .int8(limit: limit ?? .infinity)
    case .group(let size, let isPowerOfTwo): return .fp8(group: size, isPowerOfTwo: isPowerOfTwo)
    case .mxfp8: return .mxfp8
    case .mxfp4: return .mxfp4
    case .nvfp4: return .nvfp4(multiplier: scale.map { 1 / $0 } ?? 2688 / max(rows.greatestMagnitude, 1e-8))
    }
  }
}

/// What quantisation leaves of the values that share a scale.
private struct QuantizationRule: Sendable {
  /// Columns that share it.
  var group = Int.max
  let values: @Sendable ([Float]) -> [Double]

  func apply(to row: inout [Double]) {
    var start = 0
    while start < row.count {
      let run = start..<start + min(group, row.count - start)
      row.replaceSubrange(run, with: values(row[run].map { Float($0) }))
      start = run.upperBound
    }
  }
}

extension QuantizationRule {
  /// The least is that of vLLM's kernels, so that rows of zeros have a scale.
  static func fp8Scale(_ greatest: Float) -> Float { max(greatest / 448, 1 / (448 * 512)) }

  static func fp8(of scale: Float) -> Self {
    Self { $0.map { Double(MiniFloat.e4m3fn.rounded($0 * (1 / scale))) * Double(scale) } }
  }

  static func int8(of scale: Float) -> Self {
    Self {
      $0.map { value in
        let code = (value / scale).rounded(.toNearestOrEven)
        return Double(min(max(code, -128), 127)) * Double(scale)
      }
    }
  }

  static func fp8(limit: Float) -> Self {
    Self { $0.divided(by: fp8Scale(min($0.greatestMagnitude, limit)), to: .e4m3fn) }
  }

  static func int8(limit: Float) -> Self {
    Self { values in
      let greatest = max(min(values.greatestMagnitude, limit), 1e-10)
      return values.map { value in
        let code = (value * (127 / greatest)).rounded(.toNearestOrAwayFromZero)
        return Double(min(max(code, -127), 127)) * Double(greatest / 127)
      }
    }
  }

  static func fp8(group: Int, isPowerOfTwo: Bool) -> Self {
    Self(group: max(group, 1)) { values in
      let scale = max(values.greatestMagnitude, 1e-10) / 448
      return values.divided(
        by: isPowerOfTwo ? E8M0.decode(E8M0.encode(scale, rounding: .up)) : scale, to: .e4m3fn)
    }
  }

  static let mxfp8 = Self(group: 32) { values in
    values.divided(by: E8M0.decode(E8M0.encode(values.greatestMagnitude / 448, rounding: .up)), to: .e4m3fn)
  }

  static let mxfp4 = Self(group: 32) { values in
    // To half a step of the mantissa: what would round to 8 and saturate gets the next exponent instead.
    let exponent = Int((values.greatestMagnitude.bitPattern &+ 0x20_0000) >> 23)
    return values.divided(by: E8M0.decode(UInt8(max(max(exponent, 1) - 2, 0))), to: .e2m1)
  }

  static func nvfp4(multiplier: Float) -> Self {
    Self(group: 16) { values in
      let scale = MiniFloat.e4m3fn.rounded(multiplier * (values.greatestMagnitude / 6))
      let factor = scale == 0 ? 0 : multiplier / scale
      return values.map { Double(MiniFloat.e2m1.rounded($0 * factor)) * Double(scale) / Double(multiplier) }
    }
  }
}

extension [Float] {
  fileprivate var greatestMagnitude: Float { reduce(0) { Swift.max($0, $1.magnitude) } }

  /// Codes of the quotients, times the scale.
  fileprivate func divided(by scale: Float, to format: MiniFloat) -> [Double] {
    map { Double(format.rounded($0 / scale)) * Double(scale) }
  }
}

extension [[Double]] {
  fileprivate var greatestMagnitude: Float {
    reduce(0) { greatest, row in row.reduce(greatest) { Swift.max($0, Float($1).magnitude) } }
  }
}

extension MiniFloat {
  /// The value of the nearest code; greater ones saturate.
  fileprivate func rounded(_ value: Float) -> Float { decode(encode(value)) }
}
