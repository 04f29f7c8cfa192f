// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import CMoEKernels
public import Tensors

extension CPUBackend {
  public func forward(
    _ storage: CPUStorage, hidden: HostBuffer, ids: HostBuffer, weights: HostBuffer, tokenCount: Int, topK: Int,
    into output: HostBuffer, on queue: HostQueue
  ) throws(MoEError) {
    try run(
      storage, hidden: hidden, ids: ids, weights: weights, indices: nil, tokenCount: tokenCount, topK: topK,
      into: output)
  }

  public var rowType: ElementType { .f32 }

  public func forwardRows(
    _ storage: CPUStorage, hidden: HostBuffer, ids: HostBuffer, weights: HostBuffer, indices: HostBuffer,
    tokenCount: Int, topK: Int, into rows: HostBuffer, on queue: HostQueue
  ) throws(MoEError) {
    try run(
      storage, hidden: hidden, ids: ids, weights: weights, indices: indices, tokenCount: tokenCount, topK: topK,
      into: rows)
  }

  /// - Parameter indices: the row of `output` for each slot; nil where slots are added up.
  private func run(
    _ storage: CPUStorage, hidden: HostBuffer, ids: HostBuffer, weights: HostBuffer, indices: HostBuffer?,
    tokenCount: Int, topK: Int, into output: HostBuffer
  ) throws(MoEError) {
    try validateBatch(tokenCount, topK)
    let specification = storage.layout.specification
    let width = specification.hiddenSize
    let slotCount = tokenCount * topK
    let ids = unsafe try ids.elements(slotCount, as: Int32.self)
    let rowOfSlot = unsafe try indices.map { (indices) throws(MoEError) in
      unsafe try indices.elements(slotCount, as: Int32.self)
    }
    let rowCount = unsafe rowOfSlot.map { unsafe highestRow($0, of: ids) + 1 } ?? tokenCount
    let precision = activations.packed ?? .f32
    let needed = unsafe moe_forward_workspace(
      kernels, [storage.packed], precision, Int32(specification.expertCount), Int64(tokenCount), Int32(topK),
      pool.handle)
    let workspace = workspaces.take(byteCount: Int(needed))
    defer { workspaces.give(workspace) }
    var arguments = try unsafe moe_forward_arguments(
      kernels: kernels, layout: storage.packed, activation: specification.activation.packed,
      activations: precision, weight_on_input: specification.weightOnInput, experts: UnsafePointer(storage.regions),
      expert_count: Int32(specification.expertCount), top_k: Int32(topK), tokens: Int64(tokenCount),
      x: hidden.start(tokenCount * width, as: Float.self), x_stride: Int64(width), ids: ids.baseAddress!,
      weights: weights.start(slotCount, as: Float.self), out: output.start(rowCount * width, as: Float.self),
      out_stride: Int64(width), row_of_slot: rowOfSlot.map { unsafe UnsafePointer($0.baseAddress!) },
      workspace: workspace.bytes.baseAddress!, workspace_bytes: Int64(workspace.byteCount))
    guard unsafe moe_forward(pool.handle, &arguments) == .ok else {
      throw MoEError(
        .invalidArgument, "an expert id is out of range or its expert was never stored",
        expected: "−1 or 0..<\(specification.expertCount)")
    }
  }

  public func combine(
    _ storage: CPUStorage, rows: HostBuffer, ids: HostBuffer, weights: HostBuffer, indices: HostBuffer,
    tokenCount: Int, topK: Int, into output: HostBuffer, on queue: HostQueue
  ) throws(MoEError) {
    try validateBatch(tokenCount, topK)
    let specification = storage.layout.specification
    let width = specification.hiddenSize
    let ids = unsafe try ids.elements(tokenCount * topK, as: Int32.self)
    let indices = unsafe try indices.elements(tokenCount * topK, as: Int32.self)
    let weights = unsafe UnsafePointer(try weights.start(tokenCount * topK, as: Float.self))
    var arguments = try unsafe moe_combine_arguments(
      kernels: kernels, hidden: Int64(width), top_k: Int32(topK), tokens: Int64(tokenCount),
      rows: rows.start((highestRow(indices, of: ids) + 1) * width, as: Float.self), ids: ids.baseAddress!,
      weights: specification.weightOnInput ? nil : weights, row_of_slot: indices.baseAddress!,
      out: output.start(tokenCount * width, as: Float.self))
    unsafe moe_combine(pool.handle, &arguments)
  }
}

/// The greatest index of a slot that isn't skipped; −1 when all are.
private func highestRow(_ indices: UnsafeMutableBufferPointer<Int32>, of ids: UnsafeMutableBufferPointer<Int32>) -> Int
{
  unsafe zip(indices, ids).reduce(-1) { $1.1 < 0 ? $0 : max($0, Int($1.0)) }
}
