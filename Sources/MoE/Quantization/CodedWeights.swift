// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// A tile of weights as codes into a table, with scales of groups: nothing is lost, and a backend may keep it so.
///
/// Multiplied and subtracted in 32 bits, in the order that is written at ``Correction``, the fields give what
/// ``TileDecoder/decode(rows:columns:into:)`` gives, bit for bit.
///
/// ```swift
/// let weights = decoder.coded(rows: 0..<decoder.rows, columns: 0..<decoder.columns)!
/// weights.bits                     // 4
/// weights.scales.count             // rows · columns / group
/// ```
public struct CodedWeights: Sendable, Hashable {
  /// What is taken away from a product or from a value.
  public enum Correction: Sendable, Hashable {
    /// table[code] · scale
    case none
    /// (table[code] − zero) · scale; `[rows, ⌈columns / group⌉]`.
    case zero([Float])
    /// table[code] · scale − minimum; `[rows, ⌈columns / group⌉]`.
    case minimum([Float])
  }

  /// The upper one of two levels of scales: the scale of a group is `scales[…]` of its factor group, times that of the
  /// group itself, and its minimum likewise.
  public struct Factors: Sendable, Hashable {
    /// Columns that share a factor; a multiple of ``CodedWeights/group``.
    public var group: Int
    /// `[rows, ⌈columns / group⌉]`
    public var scales: [Float]
    /// `[rows, ⌈columns / group⌉]`; empty where there are no minima.
    public var minimums: [Float]

    public init(group: Int, scales: [Float], minimums: [Float] = []) {
      self.group = group
      self.scales = scales
      self.minimums = minimums
    }
  }

  /// *out*
  public var rows: Int
  /// *in*
  public var columns: Int
  /// Bits of a code, 1…8.
  public var bits: Int
  /// The value of each code, `1 << bits` of them.
  public var table: [Float]
  /// One for each weight, `[rows, columns]`.
  public var codes: [UInt8]
  /// Columns that share a scale; the last group of a row may be short.
  public var group: Int
  /// `[rows, ⌈columns / group⌉]`; whole numbers where there are ``factors``.
  public var scales: [Float]
  /// Minima are whole numbers where there are ``factors``.
  public var correction: Correction
  public var factors: Factors?

  public init(
    rows: Int, columns: Int, bits: Int, table: [Float], codes: [UInt8], group: Int, scales: [Float],
    correction: Correction = .none, factors: Factors? = nil
  ) {
    self.rows = rows
    self.columns = columns
    self.bits = bits
    self.table = table
    self.codes = codes
    self.group = group
    self.scales = scales
    self.correction = correction
    self.factors = factors
  }

  /// Groups of a row.
  package static func count(_ columns: Int, by group: Int) -> Int { columns / group + (columns % group > 0 ? 1 : 0) }

  /// The weights, `[rows, columns]`.
  public func decode() -> [Float] {
    var values: [Float] = []
    values.reserveCapacity(codes.count)
    let groups = Self.count(columns, by: group)
    for row in 0..<rows {
      for index in row * groups..<(row + 1) * groups {
        let (scale, minimum) = (scale(at: index), minimum(at: index))
        let first = (index - row * groups) * group
        for column in first..<min(first + group, columns) {
          let value = table[Int(codes[row * columns + column])]
          switch correction {
          case .none: values.append(value * scale)
          case .zero(let zeros): values.append((value - zeros[index]) * scale)
          case .minimum: values.append(value * scale - minimum)
          }
        }
      }
    }
    return values
  }

  /// The scale of a group with its factor, by the group's index in ``scales``.
  package func scale(at index: Int) -> Float {
    factors.map { $0.scales[upperIndex(of: index, $0)] * scales[index] } ?? scales[index]
  }

  /// The minimum of a group with its factor, by the group's index in ``scales``; 0 where there are none.
  package func minimum(at index: Int) -> Float {
    guard case .minimum(let minimums) = correction else { return 0 }
    return factors.map { $0.minimums[upperIndex(of: index, $0)] * minimums[index] } ?? minimums[index]
  }

  private func upperIndex(of index: Int, _ factors: Factors) -> Int {
    let (row, part) = index.quotientAndRemainder(dividingBy: Self.count(columns, by: group))
    return row * Self.count(columns, by: factors.group) + part * group / factors.group
  }
}
