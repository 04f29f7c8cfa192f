// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// What a tensor is to its projection. Open: a format of your own may need one of its own.
public struct TensorRole: RawRepresentable, Sendable, Hashable {
  public let rawValue: String
  public init(rawValue: String) { self.rawValue = rawValue }
}

extension TensorRole {
  /// Weights or packed codes of weights.
  public static let weight = Self(rawValue: "weight")
  /// Scales of the declared granularity; the only ones, or those below a global scale.
  public static let scale = Self(rawValue: "scale")
  /// One scale over all `scale`s.
  public static let globalScale = Self(rawValue: "globalScale")
  /// The static scale of the activations that enter.
  public static let inputScale = Self(rawValue: "inputScale")
  public static let inputZeroPoint = Self(rawValue: "inputZeroPoint")
  /// One scale over the dynamic scales of the activations.
  public static let inputGlobalScale = Self(rawValue: "inputGlobalScale")
  /// A bound on the dynamic scale of the activations (fbgemm).
  public static let inputScaleLimit = Self(rawValue: "inputScaleLimit")
  public static let zeroPoint = Self(rawValue: "zeroPoint")
  /// The group of each column (act-order).
  public static let groupIndex = Self(rawValue: "groupIndex")
  /// The logical size as numbers, `{out, in}`.
  public static let logicalShape = Self(rawValue: "logicalShape")
  /// The value of each code.
  public static let codebook = Self(rawValue: "codebook")
  /// The scales of quantised scales (double quantisation).
  public static let nestedScale = Self(rawValue: "nestedScale")
  /// The value of each code of a quantised scale.
  public static let nestedCodebook = Self(rawValue: "nestedCodebook")
  /// Parameters as JSON (bitsandbytes).
  public static let state = Self(rawValue: "state")
  /// How the bytes of the weights are arranged, as a number (bitsandbytes).
  public static let arrangement = Self(rawValue: "arrangement")
  public static let bias = Self(rawValue: "bias")
}

extension TensorRole: CustomStringConvertible {
  public var description: String { rawValue }
}
