// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import CAccelerators
internal import MoE

/// The experts of a layer as the kernels of Hopper read them: addresses of the first expert, and tensor maps of all.
struct HopperExperts: Sendable {
  let kernels: HopperKernels
  let region: HopperRegion
  /// What blocks copy: alone, and the half that each of two copies for both.
  private let maps: [(gateUp: TensorMap, down: TensorMap)]
  /// Of the stream: gate and up, and down.
  let streamMaps: [TensorMap]

  init(_ kernels: HopperKernels, _ layout: Layout, in memory: CUDABuffer) throws(MoEError) {
    self.kernels = kernels
    let region = HopperRegion(layout.specification, kernels.form)
    self.region = region
    func address(_ projection: Projection) -> UInt64 {
      memory.address + UInt64(region.offset(of: .weights, projection))
    }
    func map(_ projection: Projection, isPaired: Bool, cluster: Int) throws(MoEError) -> TensorMap {
      let size = layout.specification.size(of: projection)
      return try TensorMap(
        kernels.form, at: address(projection), size, isPaired: isPaired, cluster, layout, memory.device)
    }
    func streamMap(_ projection: Projection, matrices: Int) throws(MoEError) -> TensorMap {
      let size = layout.specification.size(of: projection)
      return try TensorMap(
        rowsOf: kernels.form, at: address(projection), rows: matrices * size.rows, columns: size.columns, layout,
        memory.device)
    }
    // A layer without experts has nothing to copy.
    let isEmpty = layout.specification.expertCount == 0
    maps = try (isEmpty ? [] : kernels.form.pairTokens == nil ? [1] : [1, 2]).map { (cluster) throws(MoEError) in
      (
        try map(region.first, isPaired: kernels.isGated, cluster: cluster),
        try map(.down, isPaired: false, cluster: cluster)
      )
    }
    streamMaps =
      isEmpty || !kernels.isGated || kernels.form.tileBytes > 0
      ? [TensorMap(), TensorMap()]
      : [try streamMap(region.first, matrices: 2), try streamMap(.down, matrices: 1)]
  }

  func gateUpMap(cluster: Int) -> TensorMap { maps.isEmpty ? TensorMap() : maps[cluster - 1].gateUp }
  func downMap(cluster: Int) -> TensorMap { maps.isEmpty ? TensorMap() : maps[cluster - 1].down }
}

extension TensorMap {
  /// The weights of a projection of all experts, or of gate and up, seen in 5 dimensions: 16 rows of a box are 8 of gate
  /// and 8 of up, or 16 of one matrix. Each block of a cluster copies its share of 256 rows.
  fileprivate init(
    _ form: HopperForm, at address: UInt64, _ size: (rows: Int, columns: Int), isPaired: Bool, _ cluster: Int,
    _ layout: Layout, _ device: CUDADevice
  ) throws(MoEError) {
    let (experts, groups) = (layout.specification.expertCount, size.rows / (isPaired ? 8 : 16))
    // From 8 rows to the 8 rows beside them, and to the next pair of these.
    let eight = form.weightBytes(rows: 8, columns: size.columns)
    let matrix = form.weightBytes(rows: size.rows, columns: size.columns)
    let steps = isPaired ? [matrix, eight] : [eight, 2 * eight]
    if form.tileBytes > 0 {
      let words = form.tileBytes / 8
      try self.init(
        of: .longWord, at: address, sizes: [words, HopperForm.blocks(size.columns), 2, groups, experts],
        strides: [form.tileBytes] + steps + [layout.bytesPerExpert], box: [words, 1, 2, 16 / cluster, 1],
        isSwizzled: false, device)
    } else {
      let element = form.inputBytes == 1 ? Element.byte : .bf16
      try self.init(
        of: element, at: address, sizes: [size.columns, 8, 2, groups, experts],
        strides: [size.columns * element.bytes] + steps + [layout.bytesPerExpert],
        box: [128 / element.bytes, 8, 2, 16 / cluster, 1], isSwizzled: true, device)
    }
  }

  /// Rows of weights of all experts as the stream copies them, 8 at a time.
  fileprivate init(
    rowsOf form: HopperForm, at address: UInt64, rows: Int, columns: Int, _ layout: Layout, _ device: CUDADevice
  ) throws(MoEError) {
    let rowBytes = columns * form.bits / 8
    try self.init(
      of: .longWord, at: address, sizes: [rowBytes / 8, rows, layout.specification.expertCount],
      strides: [rowBytes, layout.bytesPerExpert], box: [form.chunks.short / 8, 8, 1], isSwizzled: false, device)
  }

  /// The rows that down multiplies, `step` at a time.
  init(
    rowsOf form: HopperForm, at address: UInt64, rows: Int, columns: Int, step: Int, _ device: CUDADevice
  ) throws(MoEError) {
    let element = form.inputBytes == 1 ? Element.byte : .bf16
    try self.init(
      of: element, at: address, sizes: [columns, rows], strides: [columns * element.bytes],
      box: [128 / element.bytes, step], isSwizzled: true, device)
  }
}
