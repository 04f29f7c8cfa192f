// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// How the input of a matrix product is quantised before it is multiplied, as a checkpoint declares it.
///
/// A product of codes with such an input is what accelerators run as W8A8 or W4A4; in 32 bits the input stays as it is.
/// Which rows share a scale is written at ``apply(to:scale:)``.
public enum ActivationScheme: Sendable, Hashable {
  /// Not at all: only weights are quantised.
  case unquantized
  /// One scale for all rows: stored in the checkpoint, or made of the greatest magnitude of the batch.
  case tensor(Codes, isStatic: Bool)
  /// One for each row. Magnitudes above `limit` don't count, and saturate (fbgemm's `activation_scale_ub`).
  case token(Codes, limit: Float? = nil)
  /// fp8 with a scale for so many columns of a row; powers of two where the scales of the weights are (`ue8m0`).
  case group(Int, isPowerOfTwo: Bool = false)
  /// e4m3 with an e8m0 scale for 32 columns.
  case mxfp8
  /// e2m1 with an e8m0 scale for 32 columns.
  case mxfp4
  /// e2m1 with an e4m3 scale for 16 columns and one scale for all, which is stored or made of the batch.
  case nvfp4(isStatic: Bool)
  /// Declared, and not known here: what the configuration says.
  case unknown(String)

  /// The codes of schemes that may be of either kind.
  public enum Codes: String, Sendable, Hashable, CaseIterable {
    /// e4m3fn, whatever the platform.
    case fp8
    case int8
  }
}

extension ActivationScheme {
  /// Whether a scale is stored in the checkpoint.
  public var isStatic: Bool {
    switch self {
    case .tensor(_, let isStatic), .nvfp4(let isStatic): isStatic
    default: false
    }
  }

  /// Whether the rows of a batch share a scale that is made of them, so that they depend on each other.
  public var dependsOnBatch: Bool {
    switch self {
    case .tensor(_, let isStatic), .nvfp4(let isStatic): !isStatic
    default: false
    }
  }

  /// Bits of an input; 16 for all that are not quantised, nil where it is not known.
  public var bits: Int? {
    switch self {
    case .unquantized: 16
    case .tensor, .token, .group, .mxfp8: 8
    case .mxfp4, .nvfp4: 4
    case .unknown: nil
    }
  }
}

extension ActivationScheme: CustomStringConvertible {
  /// For example `fp8, dynamic per token`.
  public var description: String {
    switch self {
    case .unquantized: "not quantised"
    case .tensor(let codes, let isStatic): "\(codes), \(isStatic ? "static" : "dynamic") per tensor"
    case .token(let codes, let limit): "\(codes), dynamic per token" + (limit.map { " up to \($0)" } ?? "")
    case .group(let size, let isPowerOfTwo):
      "fp8, dynamic per group of \(size)" + (isPowerOfTwo ? " by powers of two" : "")
    case .mxfp8: "mxfp8"
    case .mxfp4: "mxfp4"
    case .nvfp4(let isStatic): "nvfp4, \(isStatic ? "static" : "dynamic")"
    case .unknown(let text): "unknown (\(text))"
    }
  }
}
