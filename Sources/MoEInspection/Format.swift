// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Glibc

/// Numbers for people.
package enum Format {
  /// `12.3` with a fixed number of decimals.
  package static func fixed(_ value: Double, _ decimals: Int) -> String {
    guard value.isFinite else { return "\(value)" }
    let scale = pow(10, Double(decimals))
    let rounded = (abs(value) * scale).rounded()
    guard rounded < 1e18 else { return "\(value)" }
    let digits = String(Int(rounded))
    let padded = String(repeating: "0", count: max(0, decimals + 1 - digits.count)) + digits
    let sign = value < 0 && rounded > 0 ? "-" : ""
    return decimals == 0 ? sign + padded : sign + padded.dropLast(decimals) + "." + padded.suffix(decimals)
  }

  /// Three significant digits or so.
  package static func short(_ value: Double) -> String {
    value >= 100 ? fixed(value, 0) : value >= 10 ? fixed(value, 1) : value >= 1 ? fixed(value, 2) : fixed(value, 3)
  }

  /// `1.2e-07`
  package static func scientific(_ value: Double) -> String {
    guard value.isFinite, value != 0 else { return value == 0 ? "0" : "\(value)" }
    var exponent = Int(log10(abs(value)).rounded(.down))
    var mantissa = value / pow(10, Double(exponent))
    if abs(mantissa) >= 9.95 {
      mantissa /= 10
      exponent += 1
    }
    return "\(fixed(mantissa, 1))e\(exponent)"
  }

  /// Decimal units: `1.2 GB`.
  package static func bytes(_ count: Int) -> String {
    var value = Double(count)
    for unit in ["B", "kB", "MB", "GB", "TB"] {
      if value < 999.5 || unit == "TB" { return unit == "B" ? "\(count) B" : "\(short(value)) \(unit)" }
      value /= 1000
    }
    return "\(count) B"
  }

  /// `1.2 ms`, `3.4 s`, `5.6 min`.
  package static func seconds(_ value: Double) -> String {
    if value == 0 { return "0" }
    if value < 1e-3 { return "\(short(value * 1e6)) µs" }
    if value < 1 { return "\(short(value * 1e3)) ms" }
    return value < 120 ? "\(short(value)) s" : "\(short(value / 60)) min"
  }

  package static func rate(_ bytesPerSecond: Double) -> String { "\(short(bytesPerSecond / 1e9)) GB/s" }
}
