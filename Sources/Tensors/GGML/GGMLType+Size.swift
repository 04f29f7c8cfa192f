// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

extension GGMLType {
  /// Bytes of a row, or nil when its length is negative or no whole number of blocks, or the bytes overflow `Int`.
  public func byteCount(ofRow columns: Int) -> Int? {
    guard columns >= 0, columns % blockElements == 0 else { return nil }
    let (bytes, overflow) = (columns / blockElements).multipliedReportingOverflow(by: blockBytes)
    return overflow ? nil : bytes
  }

  /// Bytes of a tensor whose innermost extent is a row; nil as for a row. `[]` is one row of one element.
  public func byteCount(of shape: Shape) -> Int? {
    guard let row = byteCount(ofRow: shape.dimensions.last ?? 1) else { return nil }
    guard shape.elementCount != nil, let rows = Shape(shape.dimensions.dropLast()).elementCount else { return nil }
    let (bytes, overflow) = rows.multipliedReportingOverflow(by: row)
    return overflow ? nil : bytes
  }
}
