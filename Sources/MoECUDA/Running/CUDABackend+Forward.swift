// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import CAccelerators
public import MoE
public import Tensors

extension CUDABackend {
  public func forward(
    _ storage: CUDAStorage, hidden: CUDABuffer, ids: CUDABuffer, weights: CUDABuffer, tokenCount: Int, topK: Int,
    into output: CUDABuffer, on queue: CUDAQueue
  ) throws(MoEError) {
    try forward(
      storage, hidden: hidden, .f32, ids: ids, weights: weights, tokenCount: tokenCount, topK: topK, into: output, .f32,
      on: queue)
  }

  /// The same with input and output in bf16, where that is what the rest of a model computes with.
  ///
  /// - Parameters:
  ///   - hidden: `[tokens, H]` of `inputType`, f32 or bf16.
  ///   - output: `[tokens, H]` of `outputType`, f32 or bf16.
  public func forward(
    _ storage: CUDAStorage, hidden: CUDABuffer, _ inputType: ElementType, ids: CUDABuffer, weights: CUDABuffer,
    tokenCount: Int, topK: Int, into output: CUDABuffer, _ outputType: ElementType, on queue: CUDAQueue
  ) throws(MoEError) {
    try validateBatch(tokenCount, topK)
    try storage.checkAllReadable()
    let specification = storage.layout.specification
    let size = tokenCount * specification.hiddenSize
    for (buffer, needed) in [
      (hidden, size * inputType.bitWidth / 8), (output, size * outputType.bitWidth / 8), (ids, tokenCount * topK * 4),
      (weights, tokenCount * topK * 4),
    ] { try buffer.require(needed) }
    guard tokenCount > 0 else { return }
    guard specification.expertCount > 0 else {
      return try queue.fill(output.address, 0, byteCount: size * outputType.bitWidth / 8)
    }
    let region: ExpertRegion
    switch storage.experts {
    case .portable(let stored): region = stored
    case .hopper(let experts):
      return try HopperPass(
        experts, storage, queue, hidden: hidden, inputType, ids: ids, weights: weights, tokens: tokenCount, topK: topK,
        isWhole: true
      ).sum(into: output, outputType)
    }
    let pass = try ForwardPass(
      region, storage, activations, queue, hidden: hidden, inputType, ids: ids, weights: weights,
      slots: tokenCount * topK, topK: topK)
    try pass.products(into: pass.address(pass.workspace.rows), indices: nil)
    var combine = moe_device_combine_arguments()
    combine.rows = pass.address(pass.workspace.rows)
    combine.indices = pass.address(pass.workspace.rowOfSlot)
    combine.weights = specification.weightOnInput ? 0 : weights.address
    combine.output = output.address
    combine.output_number = outputType.device
    (combine.tokens, combine.top_k) = (Int32(tokenCount), Int32(topK))
    combine.columns = Int32(specification.hiddenSize)
    try queue.launch(.combine, x: tokenCount, y: (specification.hiddenSize + 255) / 256, combine)
  }

  /// What a token's experts are added in.
  public var rowType: ElementType { .f32 }

  /// The first half of `forward`: rows[indices[slot]] = expert(hidden) of every slot with an id, not yet weighted.
  public func forwardRows(
    _ storage: CUDAStorage, hidden: CUDABuffer, ids: CUDABuffer, weights: CUDABuffer, indices: CUDABuffer,
    tokenCount: Int, topK: Int, into rows: CUDABuffer, on queue: CUDAQueue
  ) throws(MoEError) {
    try validateBatch(tokenCount, topK)
    try storage.checkAllReadable()
    guard tokenCount > 0, storage.layout.specification.expertCount > 0 else { return }
    switch storage.experts {
    case .portable(let region):
      try ForwardPass(
        region, storage, activations, queue, hidden: hidden, .f32, ids: ids, weights: weights,
        slots: tokenCount * topK, topK: topK
      ).products(into: rows.address, indices: indices)
    case .hopper(let experts):
      try HopperPass(
        experts, storage, queue, hidden: hidden, .f32, ids: ids, weights: weights, tokens: tokenCount, topK: topK,
        isWhole: false
      ).rows(into: rows, indices: indices)
    }
  }

  /// The second half: output `[tokens, H]` = Σ over slots, in slot order, of weight · rows[indices[slot]].
  public func combine(
    _ storage: CUDAStorage, rows: CUDABuffer, ids: CUDABuffer, weights: CUDABuffer, indices: CUDABuffer,
    tokenCount: Int, topK: Int, into output: CUDABuffer, on queue: CUDAQueue
  ) throws(MoEError) {
    try validateBatch(tokenCount, topK)
    guard tokenCount > 0 else { return }
    let specification = storage.layout.specification
    var combine = moe_device_combine_arguments()
    combine.rows = rows.address
    combine.indices = indices.address
    combine.ids = ids.address
    combine.weights = specification.weightOnInput ? 0 : weights.address
    combine.output = output.address
    combine.output_number = Int32(MOE_F32)
    (combine.tokens, combine.top_k) = (Int32(tokenCount), Int32(topK))
    combine.columns = Int32(specification.hiddenSize)
    try queue.launch(.combine, x: tokenCount, y: (specification.hiddenSize + 255) / 256, combine)
  }
}

extension ElementType {
  /// The kernels' name of a type of activations.
  var device: Int32 { self == .bf16 ? Int32(MOE_BF16) : Int32(MOE_F32) }
}
