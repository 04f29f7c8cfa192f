// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import CMoEInterface
import Tensors
import Testing

/// Layers of a checkpoint, run through the C functions and held against the oracle.
@Suite struct ForwardTests {
  let tokens = 16

  /// A batch on the oracle's input of layer 0, and the memory it points to.
  struct Case {
    let input: Memory<Float>
    let output: Memory<Float>
    var batch = moe_batch_make()

    init() throws {
      input = Memory(try Fixture.oracle("layers.0.input"))
      output = Memory(Array(repeating: .nan, count: 16 * Fixture.hidden))
      batch.hidden = input.matrix(MOE_F32, 16, Fixture.hidden)
      batch.output = output.matrix(MOE_F32, 16, Fixture.hidden)
    }
  }

  @Test(arguments: ["cpu", "reference"])
  func wholeBlockIsTheOracles(backend: String) throws {
    let layer = try backend.withCString { name in
      var options = moe_load_options_make()
      options.backend = name
      return try Fixture.layer(0, options)
    }
    defer { moe_layer_free(layer) }
    var test = try Case()
    test.batch.whole_block = 1
    let ids = Memory([Int64](repeating: -5, count: tokens * Fixture.topK))
    let weights = Memory([Float](repeating: -1, count: tokens * Fixture.topK))
    test.batch.routing_ids = ids.matrix(MOE_I64, tokens, Fixture.topK)
    test.batch.routing_weights = weights.matrix(MOE_F32, tokens, Fixture.topK)
    try expectOK(moe_layer_forward(layer, &test.batch))
    let expected = try Fixture.oracle("layers.0.block_output")
    #expect(relativeError(test.output.values, expected) < 1e-5)
    #expect(ids.values.allSatisfy { (0..<8).contains($0) })

    // The routing that was written gives the same experts again, and so does a job.
    let whole = test.output.values
    test.batch.whole_block = 0
    test.batch.topk_ids = test.batch.routing_ids
    test.batch.topk_weights = test.batch.routing_weights
    test.batch.routing_ids.data = nil
    test.batch.routing_weights.data = nil
    for isJob in [false, true] {
      _ = test.output.pointer.update(fromContentsOf: Array(repeating: .nan, count: whole.count))
      if isJob {
        var job: OpaquePointer?
        try expectOK(moe_layer_submit(layer, &test.batch, &job))
        try expectOK(moe_job_wait(job))
        expect(moe_job_wait(job), MOE_INVALID_HANDLE)
      } else {
        try expectOK(moe_layer_forward(layer, &test.batch))
      }
      #expect(test.output.values == whole)
    }
    var loads = [Int64](repeating: 0, count: 8)
    try expectOK(moe_layer_loads(layer, &loads, 8, 1))
    #expect(loads.reduce(0, +) == Int64(3 * tokens * Fixture.topK))
    #expect(loads == (0..<8).map { expert in Int64(3 * ids.values.count { $0 == expert }) })
    try expectOK(moe_layer_loads(layer, &loads, 8, 0))
    #expect(loads == Array(repeating: 0, count: 8))
  }

  /// With a GPU the oracle's block in bf16 activations, without one what is missing. A plan needs none.
  @Test func wholeBlockOnAGPU() throws {
    let checkpoint = try Fixture.checkpoint()
    defer { moe_checkpoint_free(checkpoint) }
    try "cuda".withCString { name in
      var options = moe_load_options_make()
      options.backend = name
      var plan: UnsafeMutablePointer<CChar>?
      try expectOK(moe_checkpoint_plan(checkpoint, &options, 16, &plan))
      moe_string_free(plan)
      var layer: OpaquePointer?
      let result = moe_layer_load(checkpoint, 0, &options, &layer)
      guard result == moe_result(MOE_OK) else { return expect(result, MOE_DEVICE, "cuda:0", "expected") }
      defer { moe_layer_free(layer) }
      var test = try Case()
      test.batch.whole_block = 1
      try expectOK(moe_layer_forward(layer, &test.batch))
      #expect(relativeError(test.output.values, try Fixture.oracle("layers.0.block_output")) < 1e-2)
    }
  }

  @Test func logitsAreRouted() throws {
    let layer = try Fixture.layer()
    defer { moe_layer_free(layer) }
    var test = try Case()
    let logits = Memory((0..<tokens).flatMap { _ in (0..<8).map { $0 == 3 || $0 == 5 ? Float(4) : 0 } })
    let ids = Memory([Int32](repeating: -5, count: tokens * 2))
    test.batch.router_logits = logits.matrix(MOE_F32, tokens, 8)
    test.batch.routing_ids = ids.matrix(MOE_I32, tokens, 2)
    try expectOK(moe_layer_forward(layer, &test.batch))
    #expect(ids.values == Array(repeating: [3, 5], count: tokens).flatMap(\.self))
  }

  /// Any strides, of input and of output, and nothing beside the output is written.
  @Test(arguments: [(1, 64), (70, 1), (1, 20), (160, 2)])
  func stridesAreFollowed(rowStride: Int, columnStride: Int) throws {
    let layer = try Fixture.layer()
    defer { moe_layer_free(layer) }
    var test = try Case()
    test.batch.whole_block = 1
    try expectOK(moe_layer_forward(layer, &test.batch))
    let expected = test.output.values

    let (rows, columns) = (tokens, Fixture.hidden)
    // Where rows are the closer axis, the matrix is stored transposed.
    let strides = rowStride < columnStride ? (rowStride, columnStride) : (rowStride, columnStride)
    let size = (rows - 1) * strides.0 + (columns - 1) * strides.1 + 1
    var spread = [Float](repeating: 7, count: size)
    let places = (0..<rows * columns).map { $0 / columns * strides.0 + $0 % columns * strides.1 }
    for (place, value) in zip(places, test.input.values) { spread[place] = value }
    let (input, output) = (Memory(spread), Memory([Float](repeating: 7, count: size)))
    test.batch.hidden = input.matrix(MOE_F32, rows, columns)
    test.batch.output = output.matrix(MOE_F32, rows, columns)
    test.batch.hidden.strides = (Int64(strides.0), Int64(strides.1), 0, 0)
    test.batch.output.strides = (Int64(strides.0), Int64(strides.1), 0, 0)
    try expectOK(moe_layer_forward(layer, &test.batch))
    #expect(places.map { output.values[$0] } == expected)
    let written = Set(places)
    #expect(output.values.indices.allSatisfy { written.contains($0) || output.values[$0] == 7 })
  }

  @Test(arguments: [(MOE_BF16, ElementType.bf16, 4e-3), (MOE_F16, .f16, 5e-4)])
  func halvesAreWidenedAndRounded(dtype: Int, type: ElementType, tolerance: Double) throws {
    let layer = try Fixture.layer()
    defer { moe_layer_free(layer) }
    let rounded = type.decode(type.encode(try Fixture.oracle("layers.0.input")))
    var test = try Case()
    test.batch.whole_block = 1
    _ = test.input.pointer.update(fromContentsOf: rounded)
    try expectOK(moe_layer_forward(layer, &test.batch))
    let exact = test.output.values
    let halves = Memory(type.encode(rounded))
    test.batch.hidden = halves.matrix(dtype, tokens, Fixture.hidden)
    test.batch.output = halves.matrix(dtype, tokens, Fixture.hidden)  // in place
    try expectOK(moe_layer_forward(layer, &test.batch))
    #expect(halves.values == type.encode(exact))
    #expect(relativeError(type.decode(halves.values), exact) < tolerance)
  }

  /// What all ranks of a grid give adds up to what one gives.
  @Test(arguments: [(1, 2), (2, 1), (2, 3)])
  func ranksAddUp(tensorParallel: Int32, expertParallel: Int32) throws {
    var test = try Case()
    let ids = Memory((0..<tokens * 2).map { Int32($0 % 9 - 1) })
    let weights = Memory(numbers(tokens * 2))
    test.batch.topk_ids = ids.matrix(MOE_I32, tokens, 2)
    test.batch.topk_weights = weights.matrix(MOE_F32, tokens, 2)
    var whole: [Float] = []
    var sum = [Float](repeating: 0, count: tokens * Fixture.hidden)
    for rank in -1..<tensorParallel * expertParallel {
      var options = moe_load_options_make()
      if rank >= 0 {
        options.tensor_parallel = tensorParallel
        options.expert_parallel = expertParallel
        options.rank = rank
      }
      let layer = try Fixture.layer(0, options)
      defer { moe_layer_free(layer) }
      try expectOK(moe_layer_forward(layer, &test.batch))
      if rank < 0 {
        whole = test.output.values
      } else {
        for index in sum.indices { sum[index] += test.output.values[index] }
      }
      var info = moe_layer_info_make()
      try expectOK(moe_layer_describe(layer, &info))
      #expect(info.has_block == (rank < 0 ? 1 : 0) && info.expert_count == 8)
    }
    #expect(relativeError(sum, whole) < 1e-6)
  }

  @Test func noTokensAreFine() throws {
    let layer = try Fixture.layer()
    defer { moe_layer_free(layer) }
    var test = try Case()
    test.batch.whole_block = 1
    test.batch.hidden.shape.0 = 0
    test.batch.output.shape.0 = 0
    test.batch.output.strides = (0, 0, 0, 0)
    try expectOK(moe_layer_forward(layer, &test.batch))
  }
}
