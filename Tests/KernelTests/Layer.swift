// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import CMoEKernels
import Testing

/// Experts with random weights, packed, and tokens routed to them.
@safe final class Layer {
  let layout: moe_expert_layout
  let experts: [ReferenceExpert]
  var activation = moe_activation_make(.silu)
  var weightOnInput = false
  private let regions: [Memory]

  init(_ shape: moe_expert_shape, experts: [ReferenceExpert]) {
    let layout = moe_expert_layout_make(shape)
    self.layout = layout
    self.experts = experts
    regions = experts.map { expert in
      let region = Memory(byteCount: Int(layout.bytes))
      expert.pack(layout, into: region)
      return region
    }
  }

  convenience init(_ shape: moe_expert_shape, experts count: Int, seed: UInt64 = 1) {
    var random = Random(state: seed)
    self.init(shape, experts: (0..<count).map { _ in ReferenceExpert(shape, random: &random) })
  }

  convenience init(
    hidden: Int, intermediate: Int, element: moe_element, experts count: Int, gated: Bool = true, biased: Bool = false,
    seed: UInt64 = 1
  ) {
    self.init(
      moe_expert_shape(hidden: hidden, intermediate: intermediate, element: element, gated: gated, biased: biased),
      experts: count, seed: seed)
  }

  /// Token inputs, ids and weights.
  struct Batch {
    var x: [Float], ids: [Int32], weights: [Float]
    var tokens: Int, topK: Int

    init(layer: Layer, tokens: Int, topK: Int, skip: Bool = false, seed: UInt64 = 2) {
      var random = Random(state: seed)
      self.tokens = tokens
      self.topK = topK
      x = random.floats(tokens * Int(layer.layout.shape.hidden))
      ids = (0..<tokens * topK).map { _ in Int32(random.below(layer.experts.count + (skip ? 1 : 0)) - (skip ? 1 : 0)) }
      weights = (0..<tokens * topK).map { _ in abs(random.float()) }
    }
  }

  /// Runs on `pool`, from poisoned memory.
  func forward(
    _ batch: Batch, isa: moe_isa, pool: Pool, activations: moe_activations = .f32
  ) -> (status: moe_status, out: [Float]) {
    let hidden = Int(layout.shape.hidden), stride = hidden + 3
    let out = Memory(byteCount: batch.tokens * stride * 4)
    var layout = layout
    let workspace = unsafe Memory(
      byteCount: Int(
        moe_forward_workspace(
          isa.kernels, &layout, activations, Int32(experts.count), Int64(batch.tokens), Int32(batch.topK), pool.handle))
    )
    let x = Memory(batch.x), ids = Memory(batch.ids), weights = Memory(batch.weights)
    let pointers: [UnsafeRawPointer?] = unsafe regions.map { unsafe UnsafeRawPointer($0.base) }
    let status = unsafe pointers.withUnsafeBufferPointer { pointers in
      var arguments = unsafe moe_forward_arguments(
        kernels: isa.kernels, layout: layout, activation: activation, activations: activations,
        weight_on_input: weightOnInput,
        experts: pointers.baseAddress!,
        expert_count: Int32(experts.count), top_k: Int32(batch.topK), tokens: Int64(batch.tokens),
        x: x.floats.baseAddress!,
        x_stride: Int64(hidden), ids: ids.base.assumingMemoryBound(to: Int32.self),
        weights: weights.floats.baseAddress!,
        out: out.floats.baseAddress!, out_stride: Int64(stride), row_of_slot: nil, workspace: workspace.base,
        workspace_bytes: Int64(workspace.bytes.count))
      return unsafe moe_forward(pool.handle, &arguments)
    }
    return unsafe (status, (0..<batch.tokens).flatMap { unsafe out.floats[$0 * stride..<$0 * stride + hidden] })
  }

  /// The same in double precision.
  func reference(_ batch: Batch) -> [Double] {
    let hidden = Int(layout.shape.hidden)
    var out = [Double](repeating: 0, count: batch.tokens * hidden)
    for slot in 0..<batch.tokens * batch.topK where batch.ids[slot] >= 0 {
      let token = slot / batch.topK, weight = batch.weights[slot]
      let y = experts[Int(batch.ids[slot])].output(
        batch.x[token * hidden..<(token + 1) * hidden], layout.shape, activation, scale: weightOnInput ? weight : 1)
      for n in 0..<hidden { out[token * hidden + n] += y[n] * (weightOnInput ? 1 : Double(weight)) }
    }
    return out
  }
}

extension ReferenceExpert {
  /// Fills a poisoned region.
  func pack(_ layout: moe_expert_layout, into region: Memory) {
    var layout = layout
    for projection in layout.shape.projections {
      if let matrix = coded[projection] {
        #expect(matrix.pack(layout, projection, into: region) == .ok)
      } else {
        let element = layout.shape.form(projection).element
        let source = Memory(element.encoded(weights[projection]!))
        unsafe moe_pack_projection(
          &layout, projection, moe_outputs(first: 0, count: Int64(layout.shape.outputs(projection))),
          moe_source(
            base: source.base, element: element, row_stride: Int64(layout.shape.inputs(projection)), column_stride: 1),
          region.base)
      }
    }
    guard layout.shape.has_bias else { return }
    for projection in [moe_projection.gate, .up, .down] {
      let source = Memory(biases[projection]!)
      var view = unsafe moe_source(base: source.base, element: .f32, row_stride: 1, column_stride: 1)
      unsafe moe_pack_bias(
        &layout, projection, moe_outputs(first: 0, count: Int64(layout.shape.outputs(projection))), &view, region.base)
    }
  }
}
