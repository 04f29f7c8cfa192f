// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// An axis of a stored tensor, and what of the logical matrix `[rows, columns]` it runs over.
///
/// It gives the exact extent of the axis, and says where a tensor can be cut: between multiples of `step`.
///
/// ```swift
/// StoredAxis.columns(per: 128).extent(rows: 256, columns: 512)        // 4: groups of 128
/// StoredAxis.columns(packing: 3).extent(rows: 256, columns: 64)       // 6: 32 codes of 3 bits in 3 words
/// StoredAxis.columns(per: 128).extent(rows: 256, columns: 192)        // nil: 192 is no multiple of 128
/// ```
public struct StoredAxis: Sendable, Hashable {
  /// What an axis runs over.
  public enum Extent: Sendable, Hashable {
    case rows
    case columns
    /// The elements of the matrix laid out flat, row after row.
    case elements
    /// Nothing: it has this extent whatever the matrix.
    case fixed(Int)
    /// Nothing, and any extent will do.
    case any
  }

  public var extent: Extent
  /// Logical rows, columns or elements that make `entries` entries of the axis.
  public var step: Int
  public var entries: Int
  /// Whether the last step may be cut short; what it has then is rounded up to whole entries.
  public var isRagged: Bool

  public init(_ extent: Extent, step: Int = 1, entries: Int = 1, isRagged: Bool = false) {
    self.extent = extent
    self.step = step
    self.entries = entries
    self.isRagged = isRagged
  }

  /// The extent for a matrix of this size; nil when a step does not divide it, when it overflows, and for `any`.
  public func extent(rows: Int, columns: Int) -> Int? {
    let count: Int
    switch extent {
    case .fixed(let number): return number
    case .any: return nil
    case .rows: count = rows
    case .columns: count = columns
    case .elements:
      let (product, overflow) = rows.multipliedReportingOverflow(by: columns)
      if overflow { return nil }
      count = product
    }
    guard step > 0, entries > 0, count >= 0 else { return nil }
    guard isRagged || count % step == 0 else { return nil }
    let (scaled, overflow) = count.multipliedReportingOverflow(by: entries)
    return overflow ? nil : scaled / step + (scaled % step > 0 ? 1 : 0)
  }
}

extension StoredAxis {
  /// The entries that hold a range of rows, columns or elements: whole steps, of which there are at most `limit`
  /// entries.
  func entries(of range: Range<Int>, limit: Int) -> Range<Int> {
    guard !range.isEmpty else { return 0..<0 }
    let first = range.lowerBound / step * entries
    let steps = range.upperBound / step + (range.upperBound % step > 0 ? 1 : 0)
    let (end, overflow) = steps.multipliedReportingOverflow(by: entries)
    return min(first, limit)..<(overflow ? limit : min(end, limit))
  }

  public static let rows = Self(.rows)
  public static let columns = Self(.columns)

  public static func rows(per step: Int, isRagged: Bool = false) -> Self {
    Self(.rows, step: step, isRagged: isRagged)
  }

  public static func columns(per step: Int, isRagged: Bool = false) -> Self {
    Self(.columns, step: step, isRagged: isRagged)
  }

  public static func elements(per step: Int) -> Self { Self(.elements, step: step, isRagged: true) }
  public static let any = Self(.any)
  public static func fixed(_ number: Int) -> Self { Self(.fixed(number)) }

  /// Codes of `bits` end to end in words of `wordBits`: the least number of codes that fills whole words is a step.
  static func packing(
    _ extent: Extent, bits: Int, wordBits: Int = 32, isRagged: Bool = false
  ) -> Self {
    let divisor = greatestCommonDivisor(wordBits, bits)
    return Self(extent, step: wordBits / divisor, entries: bits / divisor, isRagged: isRagged)
  }

  /// Columns as codes of `bits` in words of `wordBits`.
  public static func columns(packing bits: Int, wordBits: Int = 32, isRagged: Bool = false) -> Self {
    packing(.columns, bits: bits, wordBits: wordBits, isRagged: isRagged)
  }

  /// Rows as codes of `bits` in words of `wordBits`.
  public static func rows(packing bits: Int, wordBits: Int = 32, isRagged: Bool = false) -> Self {
    packing(.rows, bits: bits, wordBits: wordBits, isRagged: isRagged)
  }
}

extension StoredAxis: CustomStringConvertible {
  public var description: String {
    let ratio = (step == 1 ? "" : "/\(step)") + (entries == 1 ? "" : "·\(entries)")
    switch extent {
    case .rows: return "out" + ratio
    case .columns: return "in" + ratio
    case .elements: return "out·in" + ratio
    case .fixed(let number): return "\(number)"
    case .any: return "any"
    }
  }
}
