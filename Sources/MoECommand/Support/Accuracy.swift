// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import MoE
import MoEInspection

/// How far an output is from that of the reference backend.
enum Accuracy {
  /// Above this a run has failed.
  static func largestError(_ activations: ActivationPrecision) -> Double {
    switch activations {
    case .f32, .declared: 1e-4
    case .bf16: 0.01
    case .int8: 0.05
    case .fp8: 0.08
    }
  }

  /// The root mean square of the difference over that of `expected`; NaN counts as infinite.
  static func relativeError(_ found: [Float], _ expected: [Float]) -> Double {
    let (difference, norm) = zip(found, expected).reduce((0.0, 0.0)) { sums, pair in
      let delta = Double(pair.0) - Double(pair.1)
      return (sums.0 + delta * delta, sums.1 + Double(pair.1) * Double(pair.1))
    }
    let error = (difference / norm).squareRoot()
    return error.isNaN ? .infinity : error
  }

  /// - Throws: `invalidValue` for an error above the largest.
  static func require(
    _ error: Double, of backend: String, _ activations: ActivationPrecision = .f32
  ) throws(MoEError) {
    let largestError = largestError(activations)
    guard error <= largestError else {
      throw MoEError(
        .invalidValue, "the output is not that of the reference backend", subject: backend,
        expected: "a relative error of at most \(largestError)", found: Format.scientific(error))
    }
  }
}
