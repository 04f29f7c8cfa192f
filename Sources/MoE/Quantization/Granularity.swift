// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// How many weights share a scale.
///
/// Columns run along *in*, the axis that a product sums over; rows along *out*.
public enum Granularity: Sendable, Hashable {
  /// One scale for the whole matrix.
  case tensor
  /// One for each row.
  case channel
  /// One for `size` neighbours of a row, or for the columns that a group index gives the same number.
  case group(Int)
  /// One for each block of so many rows and columns; blocks at the edges may be smaller.
  case block(rows: Int, columns: Int)
  /// One for `size` neighbours of the matrix laid out flat, row after row (bitsandbytes).
  case flat(Int)
}

extension Granularity: CustomStringConvertible {
  public var description: String {
    switch self {
    case .tensor: "per tensor"
    case .channel: "per channel"
    case .group(let size): "groups of \(size)"
    case .block(let rows, let columns): "blocks of \(rows)×\(columns)"
    case .flat(let size): "flat blocks of \(size)"
    }
  }
}
