// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Tensors

extension LoadPlan {
  /// Whether the backend's sizes are larger than the share's.
  private var isPadded: Bool { layout.specification != specification }

  /// Bytes of a padded copy of the rows that a transfer gives at a time.
  func paddingBytes(_ transfer: Transfer) -> Int {
    guard isPadded else { return 0 }
    return transfer.projections.map { projection in
      let size = layout.specification.size(of: projection)
      return size.rows * size.columns * MemoryLayout<Float>.stride
    }.max() ?? 0
  }

  /// The same rows in the backend's width, zeros behind their columns and, after the last one, the rows that the backend
  /// has more. All activations are 0 at 0, and what the columns of down multiply is 0, so padding adds nothing.
  func padded(_ slice: ParameterSlice, _ body: Transfer.Receiver) throws(MoEError) {
    guard isPadded, case .dense(let view) = slice.content else { return try body(slice) }
    let size = layout.specification.size(of: slice.projection)
    let isLast = slice.rows.upperBound == specification.size(of: slice.projection).rows
    let rows = isLast ? size.rows - slice.firstRow : view.rows
    let columns = slice.role == .bias ? 1 : size.columns
    let width = view.elementType.bitWidth / 8
    var bytes = [UInt8](repeating: 0, count: rows * columns * width)
    let failure = unsafe bytes.withUnsafeMutableBytes { target -> MoEError? in
      for row in 0..<view.rows {
        for column in 0..<view.columns {
          unsafe (target.baseAddress! + (row * columns + column) * width).copyMemory(
            from: view.base + (row * view.rowStride + column * view.columnStride) * width, byteCount: width)
        }
      }
      let padded = unsafe ParameterView(
        base: UnsafeRawPointer(target.baseAddress!), elementType: view.elementType, rows: rows, columns: columns,
        rowStride: columns, columnStride: 1)
      do throws(MoEError) {
        try body(ParameterSlice(slice.projection, slice.role, firstRow: slice.firstRow, .dense(padded)))
        return nil
      } catch {
        return error
      }
    }
    if let failure { throw failure }
  }
}
