// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Glibc
public import MoE

/// How a stored matrix of an expert differs from the original.
public struct MatrixVerification: Sendable {
  /// One projection of one expert.
  public var place: MoEModel.Place
  /// `[out, in]`
  public var rows: Int
  public var columns: Int
  /// Σ of the squares of the original weights, of the stored ones, and of their differences.
  public var squares: (original: Double, stored: Double, difference: Double)
  /// Σ of the squares of the error that rounding to both formats would leave; nil where a format doesn't tell, or its scales
  /// are so large that it says nothing.
  public var roundingNoise: Double?
  /// The weight that is farthest off.
  public var greatest: Difference
  /// The greatest difference in steps of the format around a weight; nil where it was not asked for, or the formats are
  /// two.
  public var steps: Double?
  /// How much more noise it has than the experts beside it, in dB; nil where there are too few of them.
  public var distance: Double?
  /// Why it is suspect; empty where it is not.
  public var flags: Set<Flag> = []
  /// What happened to it, as far as that can be told.
  public var diagnosis: Diagnosis?
  /// How both matrices' weights are spread, if asked for.
  public var histogram: Histogram?

  /// Two weights.
  public struct Difference: Sendable, Hashable {
    public var row: Int
    public var column: Int
    public var original: Float
    public var stored: Float

    public var magnitude: Float { (original - stored).magnitude }
  }

  public enum Flag: String, Sendable, Hashable, CaseIterable {
    /// A weight is no finite number, and that of the original is.
    case notFinite
    /// More noise than rounding to the format leaves.
    case format
    /// More noise than the experts beside it have.
    case siblings
    /// It differs more than was allowed.
    case exactness
  }

  /// The signal over the noise, 10·log₁₀(Σa²/Σ(a−b)²); infinite where they are equal.
  public var decibels: Double { Self.decibels(squares.original, over: squares.difference) }

  /// What ``decibels`` would be of rounding alone; nil where a format doesn't tell.
  public var expectedDecibels: Double? { roundingNoise.map { Self.decibels(squares.original, over: $0) } }

  /// The cosine of the angle between both matrices; 1 where they are equal, 0 where one of them is zero.
  public var cosine: Double {
    guard squares.difference > 0 else { return 1 }
    let product = (squares.original * squares.stored).squareRoot()
    guard product > 0 else { return 0 }
    // Not by the sum of the products, of which nothing would be left near 1.
    let lengths = squares.original.squareRoot() - squares.stored.squareRoot()
    return 1 - (squares.difference - lengths * lengths) / (2 * product)
  }

  /// ‖a − b‖ / ‖a‖ by Frobenius.
  public var relativeError: Double {
    squares.difference == 0 ? 0 : (squares.difference / squares.original).squareRoot()
  }

  /// The noise over that of rounding, in dB; nil where a format doesn't tell. Equal matrices have −∞.
  public var excess: Double? { roundingNoise.map { Self.decibels(squares.difference, over: $0) } }

  public var isEqual: Bool { squares.difference == 0 && greatest.magnitude == 0 }

  static func decibels(_ a: Double, over b: Double) -> Double {
    if a == 0 && b == 0 { return .infinity }
    return 10 * log10(a / b)
  }
}
