// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// A matrix `[rows, columns]` somewhere inside a stored tensor, in elements.
///
/// One description for every layout a checkpoint uses: a tensor of its own, one expert of a fused tensor, half of a
/// fused gate-up, every second row of an interleaved one, or any of those transposed.
public struct StridedSlice: Sendable, Hashable {
  /// The first element, from the start of the tensor.
  public var offset: Int
  public var rows: Int
  public var columns: Int
  public var rowStride: Int
  public var columnStride: Int

  public init(offset: Int, rows: Int, columns: Int, rowStride: Int, columnStride: Int) {
    self.offset = offset
    self.rows = rows
    self.columns = columns
    self.rowStride = rowStride
    self.columnStride = columnStride
  }

  /// The elements from the first to the last one that the slice touches.
  public var span: Range<Int> {
    guard rows > 0, columns > 0 else { return offset..<offset }
    return offset..<offset + (rows - 1) * rowStride + (columns - 1) * columnStride + 1
  }
}
