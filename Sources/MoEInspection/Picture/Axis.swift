// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Glibc

/// How a number becomes a place, and how numbers are written along it.
public struct Axis: Sendable, Hashable {
  public var name: String
  public var unit: Unit
  public var isLogarithmic: Bool
  /// nil for what the data and the reference lines take.
  public var range: ClosedRange<Double>?

  public init(_ name: String, _ unit: Unit = .number, isLogarithmic: Bool = false, range: ClosedRange<Double>? = nil) {
    self.name = name
    self.unit = unit
    self.isLogarithmic = isLogarithmic
    self.range = range
  }

  public enum Unit: Sendable, Hashable {
    case number
    case bytes
    case seconds
    /// Shares of 1.
    case percent

    func text(_ value: Double) -> String {
      switch self {
      case .number: Self.short(value)
      case .bytes: value == 0 ? "0" : value < 1e18 ? Format.bytes(Int(value.rounded())) : Self.short(value)
      case .seconds: Format.seconds(value)
      case .percent: "\(Self.short(value * 100)) %"
      }
    }

    private static func short(_ value: Double) -> String {
      for (power, letter) in [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")] where abs(value) >= power {
        return trimmed(value / power) + " " + letter
      }
      return trimmed(value)
    }

    /// Without zeros at the end.
    private static func trimmed(_ value: Double) -> String {
      if value != 0, abs(value) < 0.001 { return Format.scientific(value) }
      var text = Format.fixed(value, abs(value) < 1 ? 3 : abs(value) < 10 ? 2 : abs(value) < 100 ? 1 : 0)
      guard text.contains(".") else { return text }
      while text.last == "0" { text.removeLast() }
      if text.last == "." { text.removeLast() }
      return text
    }
  }
}

/// An axis with its ends.
struct Scale {
  let axis: Axis
  let range: ClosedRange<Double>

  /// - Parameter values: that it must show; those that can't be are left out.
  init(_ axis: Axis, _ values: [Double], fromZero: Bool = false) {
    self.axis = axis
    if let range = axis.range {
      self.range = range
      return
    }
    let values = values.filter { $0.isFinite && (!axis.isLogarithmic || $0 > 0) }
    var (low, high) = (values.min() ?? 0, values.max() ?? 1)
    if axis.isLogarithmic {
      if values.isEmpty { (low, high) = (1, 10) }
      range = low / 1.25...high * 1.25
      return
    }
    if fromZero { (low, high) = (min(0, low), max(0, high)) }
    let margin = high > low ? (high - low) * 0.05 : max(1, abs(high)) * 0.5
    range = (fromZero && low == 0 ? 0 : low - margin)...(fromZero && high == 0 ? 0 : high + margin)
  }

  /// 0...1 within the range.
  func share(_ value: Double) -> Double {
    if axis.isLogarithmic {
      guard value > 0 else { return 0 }
      return log(value / range.lowerBound) / log(range.upperBound / range.lowerBound)
    }
    return (value - range.lowerBound) / (range.upperBound - range.lowerBound)
  }

  /// About `count` round numbers within the range.
  func ticks(_ count: Int) -> [Double] {
    if axis.isLogarithmic {
      let (low, high) = (log10(range.lowerBound), log10(range.upperBound))
      let exponents = Int(low.rounded(.down))...Int(high.rounded(.up))
      let steps: [Double] = high - low < 1.2 ? [1, 2, 3, 5] : high - low < 2.5 ? [1, 3] : [1]
      let skip = max(1, exponents.count / max(1, count))
      return exponents.filter { $0 % skip == 0 }.flatMap { exponent in steps.map { $0 * pow(10, Double(exponent)) } }
        .filter(range.contains)
    }
    let wanted = (range.upperBound - range.lowerBound) / Double(max(1, count))
    let power = pow(10, log10(wanted).rounded(.down))
    let step = [1, 2, 5, 10].map { $0 * power }.first { $0 >= wanted * 0.999 } ?? wanted
    let first = Int((range.lowerBound / step).rounded(.up)), last = Int((range.upperBound / step).rounded(.down))
    return first > last ? [] : (first...last).map { Double($0) * step }
  }
}
