// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Tensors

extension LoadPlan {
  /// Whether the backend's sizes are larger than the share's.
  private var isPadded: Bool { layout.specification != specification }

  /// Bytes of scratch memory for padded copies of an expert's tensors.
  var paddingBytes: Int {
    guard isPadded else { return 0 }
    return specification.roles.reduce(0) { sum, role in
      specification.projections.reduce(sum) { $0 + paddedBytes($1, role) }
    }
  }

  /// No element is wider than 32 bits.
  private func paddedBytes(_ projection: Projection, _ role: TensorRole) -> Int {
    let size = layout.specification.size(of: projection)
    return (size.rows * (role == .bias ? 1 : size.columns) * MemoryLayout<Float>.stride + 63) / 64 * 64
  }

  /// The same tensors in the backend's sizes, zeros behind their rows and columns. All activations are 0 at 0, and what
  /// the columns of down multiply is 0, so padding adds nothing.
  func padded(
    _ parameters: consuming ExpertParameters, scratch: UnsafeMutableRawBufferPointer, used: Int
  ) -> ExpertParameters {
    guard isPadded else { return parameters }
    var used = used
    for role in specification.roles {
      for projection in specification.projections {
        guard let view = parameters[projection, role] else { continue }
        let size = layout.specification.size(of: projection)
        let (rows, columns) = (size.rows, role == .bias ? 1 : size.columns)
        let width = view.elementType.bitWidth / 8
        let target = unsafe UnsafeMutableRawBufferPointer(rebasing: scratch[used..<used + rows * columns * width])
        used += paddedBytes(projection, role)
        unsafe target.initializeMemory(as: UInt8.self, repeating: 0)
        for row in 0..<view.rows {
          for column in 0..<view.columns {
            unsafe (target.baseAddress! + (row * columns + column) * width).copyMemory(
              from: view.base + (row * view.rowStride + column * view.columnStride) * width, byteCount: width)
          }
        }
        parameters[projection, role] = unsafe ParameterView(
          base: UnsafeRawPointer(target.baseAddress!), elementType: view.elementType, rows: rows, columns: columns,
          rowStride: columns, columnStride: 1)
      }
    }
    return parameters
  }
}
