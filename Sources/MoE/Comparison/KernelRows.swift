// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import CMoEKernels
internal import Tensors

/// Rows as the kernels read them: nil where a format has no such view.
protocol KernelRows: TileDecoder {
  /// - Parameters:
  ///   - rows: in the matrix.
  ///   - body: called with a view that is valid during the call.
  func withKernelRows<Result>(_ rows: StridedRows, _ body: (UnsafePointer<moe_stored_rows>) -> Result) -> Result?
}

extension DenseDecoder: KernelRows {
  func withKernelRows<Result>(_ rows: StridedRows, _ body: (UnsafePointer<moe_stored_rows>) -> Result) -> Result? {
    let element: moe_element
    switch weight.elementType {
    case .f32: element = .f32
    case .f16: element = .f16
    case .bf16: element = .bf16
    default: return nil
    }
    let rowBytes = columns * (weight.elementType.bitWidth / 8)
    return unsafe weight.bytes.withUnsafeBytes { bytes -> Result? in
      guard let base = bytes.baseAddress else { return nil }
      var view = unsafe moe_stored_rows_dense(base + rows.first * rowBytes, Int64(rows.step * rowBytes), element)
      return unsafe body(&view)
    }
  }
}

extension GroupedDecoder: KernelRows {
  func withKernelRows<Result>(_ rows: StridedRows, _ body: (UnsafePointer<moe_stored_rows>) -> Result) -> Result? {
    guard case .rows(let rowBytes) = codes.arrangement, codes.bits == 4 || codes.bits == 8, groupIndex == nil,
      divisor == nil, table.count >= 1 << codes.bits,
      case .grid(let rowStep, let columnStep, let rowStride, let columnStride) = arrangement,
      columnStep % 16 == 0 || columnStep >= columns
    else { return nil }
    return unsafe codes.bytes.withUnsafeBytes { bytes -> Result? in
      unsafe table.withUnsafeBufferPointer { table -> Result? in
        unsafe scales.withUnsafeBufferPointer { scales -> Result? in
          func call(_ zeros: UnsafePointer<Float>?) -> Result? {
            guard let base = bytes.baseAddress else { return nil }
            // One step for all rows, or for all columns, is any that is not less.
            var view = unsafe moe_stored_rows(
              base: base + rows.first * rowBytes, row_bytes: Int64(rows.step * rowBytes), bits: Int32(codes.bits),
              element: .f32, table: table.baseAddress, scales: scales.baseAddress, zeros: zeros,
              first_row: Int64(rows.first), row_step: Int64(rows.step), row_group: Int64(min(rowStep, 1 << 40)),
              row_stride: Int64(rowStride), group: Int64(min(columnStep, 1 << 40)), group_stride: Int64(columnStride))
            return unsafe body(&view)
          }
          guard let zeroPoints else { return call(nil) }
          return unsafe zeroPoints.withUnsafeBufferPointer { unsafe call($0.baseAddress) }
        }
      }
    }
  }
}

extension KernelRows {
  /// Decodes whole rows; false where the kernels have no view of them.
  func decodeByKernels(_ rows: Range<Int>, into tile: inout MutableSpan<Float>) -> Bool {
    let places = StridedRows(first: rows.lowerBound, step: 1, count: rows.count)
    return unsafe tile.withUnsafeMutableBufferPointer { tile in
      unsafe withKernelRows(places) { view in
        unsafe moe_decode_rows(Kernels.best, view, Int64(rows.count), Int64(columns), tile.baseAddress!)
        return true
      } ?? false
    }
  }
}

/// The kernels of the widest instruction set. Which that is, is asked once: in a virtual machine the question is slow.
enum Kernels {
  nonisolated(unsafe) static let best = unsafe moe_kernels_for(moe_isa_best())!
}
