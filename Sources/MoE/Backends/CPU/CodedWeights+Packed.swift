// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import CMoEKernels

extension CodedWeights {
  /// - Throws: `shapeMismatch` when the parts have not the numbers of elements that the form asks for.
  package func validate(as form: CodedForm, _ projection: Projection) throws(MoEError) {
    let groups = rows * Self.count(columns, by: form.group ?? columns)
    let corrections: Bool
    switch (form.correction, correction) {
    case (.none, .none): corrections = true
    case (.zero, .zero(let values)), (.minimum, .minimum(let values)): corrections = values.count == groups
    default: corrections = false
    }
    let upper = form.factor.map { rows * Self.count(columns, by: $0.group ?? columns) }
    let hasMinimums = if case .minimum = form.correction { true } else { false }
    guard bits == form.bits, table.count == 1 << bits,
      codes.count == rows * columns, scales.count == groups, corrections, factors?.scales.count == upper,
      !hasMinimums || factors.map({ $0.minimums.count == upper }) ?? true
    else {
      throw MoEError(
        .shapeMismatch, "codes of \(projection) in another form than the layer's", expected: "\(form)",
        found: "\(bits) bits, groups of \(group)")
    }
  }

  /// The kernels' view of the arrays.
  func withPackedSource(_ body: (UnsafePointer<moe_coded_source>) -> moe_pack_status) -> moe_pack_status {
    let corrections =
      switch correction {
      case .none: [Float]()
      case .zero(let values), .minimum(let values): values
      }
    let stride = Int64(Self.count(columns, by: group))
    let upperStride = factors.map { Int64(Self.count(columns, by: $0.group)) } ?? 0
    return unsafe Self.withPointers(scales, corrections, factors?.scales ?? [], factors?.minimums ?? [], table) {
      pointers in
      func groups(_ index: Int, _ stride: Int64) -> moe_group_source {
        unsafe moe_group_source(base: pointers[index], row_stride: stride, group_stride: 1)
      }
      return unsafe codes.withUnsafeBufferPointer { codes in
        var source = unsafe moe_coded_source(
          codes: codes.baseAddress!, row_stride: Int64(columns), column_stride: 1, table: pointers[4]!,
          scales: groups(0, stride), corrections: groups(1, stride), factors: groups(2, upperStride),
          minimum_factors: groups(3, upperStride))
        return unsafe body(&source)
      }
    }
  }

  private static func withPointers<Result>(
    _ arrays: [Float]..., body: ([UnsafePointer<Float>?]) -> Result
  ) -> Result {
    func open(_ index: Int, _ pointers: [UnsafePointer<Float>?]) -> Result {
      guard index < arrays.count else { return unsafe body(pointers) }
      return unsafe arrays[index].withUnsafeBufferPointer { unsafe open(index + 1, pointers + [$0.baseAddress]) }
    }
    return unsafe open(0, [])
  }
}
