// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import CMoEInterface
import Checkpoints
import MoE
import Tensors
import Testing

/// Experts packed from memory, and pushed by name.
@Suite struct WeightsTests {
  static let (experts, hidden, intermediate, tokens) = (4, 64, 32, 5)

  /// Gate, up and down, `[experts, out, in]`.
  static let gate = numbers(experts * intermediate * hidden, seed: 1).map { $0 / 8 }
  static let up = numbers(experts * intermediate * hidden, seed: 2).map { $0 / 8 }
  static let down = numbers(experts * hidden * intermediate, seed: 3).map { $0 / 8 }

  /// The same weights as tensors of each arrangement.
  enum Arrangement: CaseIterable {
    case apart, fused, interleaved, inputMajor
  }

  struct Given {
    var weights = moe_weights_make()
    var memory: [Memory<Float>] = []

    mutating func add(
      _ values: [Float], _ shape: (Int, Int, Int), _ tensor: WritableKeyPath<moe_weights, moe_tensor>
    ) {
      memory.append(Memory(values))
      var given = moe_tensor()
      given.data = UnsafeMutableRawPointer(memory.last!.pointer.baseAddress!)
      given.dtype = moe_dtype(MOE_F32)
      given.rank = 3
      given.shape = (Int64(shape.0), Int64(shape.1), Int64(shape.2), 0)
      given.strides = (Int64(shape.1 * shape.2), Int64(shape.2), 1, 0)
      weights[keyPath: tensor] = given
    }

    init(_ arrangement: Arrangement) {
      let (experts, hidden, intermediate) = (WeightsTests.experts, WeightsTests.hidden, WeightsTests.intermediate)
      /// Rows of gate and of up in one tensor.
      func joined(_ place: (Int) -> (Int, Int)) -> [Float] {
        (0..<experts * 2 * intermediate).flatMap { row -> ArraySlice<Float> in
          let (part, index) = place(row % (2 * intermediate))
          let start = (row / (2 * intermediate) * intermediate + index) * hidden
          return (part == 0 ? WeightsTests.gate : WeightsTests.up)[start..<start + hidden]
        }
      }
      func transposed(_ values: [Float], _ rows: Int, _ columns: Int) -> [Float] {
        (0..<values.count).map { index in
          let (expert, place) = index.quotientAndRemainder(dividingBy: rows * columns)
          return values[expert * rows * columns + place % rows * columns + place / rows]
        }
      }
      let halves = joined { ($0 / intermediate, $0 % intermediate) }
      switch arrangement {
      case .apart:
        add(WeightsTests.gate, (experts, intermediate, hidden), \.gate)
        add(WeightsTests.up, (experts, intermediate, hidden), \.up)
      case .fused: add(halves, (experts, 2 * intermediate, hidden), \.gate_up)
      case .interleaved:
        add(joined { ($0 % 2, $0 / 2) }, (experts, 2 * intermediate, hidden), \.gate_up)
        weights.interleaved = 1
      case .inputMajor:
        add(transposed(halves, 2 * intermediate, hidden), (experts, hidden, 2 * intermediate), \.gate_up)
        weights.input_major = 1
      }
      if arrangement == .inputMajor {
        add(transposed(WeightsTests.down, hidden, intermediate), (experts, intermediate, hidden), \.down)
      } else {
        add(WeightsTests.down, (experts, hidden, intermediate), \.down)
      }
    }
  }

  /// Σ weight · down(silu(gate · x) · (up · x)) in 64 bits.
  static func expected(_ hidden: [Float], _ ids: [Int32], _ weights: [Float]) -> [Float] {
    var output = [Double](repeating: 0, count: tokens * self.hidden)
    for token in 0..<tokens {
      for slot in token * 2..<token * 2 + 2 where ids[slot] >= 0 {
        let expert = Int(ids[slot])
        func product(_ matrix: [Float], _ row: Int, _ x: [Double]) -> Double {
          x.indices.reduce(0) { $0 + Double(matrix[row * x.count + $1]) * x[$1] }
        }
        let x = hidden[token * self.hidden..<(token + 1) * self.hidden].map(Double.init)
        let middle = (0..<intermediate).map { row in
          Activation.silu(
            gate: product(gate, expert * intermediate + row, x), up: product(up, expert * intermediate + row, x))
        }
        for row in 0..<self.hidden {
          output[token * self.hidden + row] +=
            Double(weights[slot]) * product(down, expert * self.hidden + row, middle)
        }
      }
    }
    return output.map { Float($0) }
  }

  static func run(_ layer: OpaquePointer) throws -> (found: [Float], expected: [Float]) {
    let (hidden, ids, weights) = (
      numbers(tokens * self.hidden, seed: 4), (0..<tokens * 2).map { Int32($0 % 5 - 1) }, numbers(tokens * 2, seed: 5)
    )
    let memory = (Memory(hidden), Memory(ids), Memory(weights))
    let output = Memory([Float](repeating: .nan, count: hidden.count))
    var batch = moe_batch_make()
    batch.hidden = memory.0.matrix(MOE_F32, tokens, self.hidden)
    batch.topk_ids = memory.1.matrix(MOE_I32, tokens, 2)
    batch.topk_weights = memory.2.matrix(MOE_F32, tokens, 2)
    batch.output = output.matrix(MOE_F32, tokens, self.hidden)
    try expectOK(moe_layer_forward(layer, &batch))
    return (output.values, expected(hidden, ids, weights))
  }

  @Test(arguments: Arrangement.allCases, [nil, "bf16", "fp8-channel", "int4-g32", "q8_0"])
  func arrangementsAreTheSame(arrangement: Arrangement, type: String?) throws {
    var given = Given(arrangement)
    let tolerance = type.map { ["bf16": 5e-3, "fp8-channel": 6e-2, "int4-g32": 2e-1, "q8_0": 1e-2][$0]! } ?? 1e-6
    let layer = try "silu".withCString { activation in
      given.weights.activation = activation
      var options = moe_load_options_make()
      var layer: OpaquePointer?
      try (type ?? "f32").withCString { name in
        if type != nil { options.weight_type = name }
        try expectOK(moe_layer_create(&given.weights, &options, &layer))
      }
      return try #require(layer)
    }
    defer { moe_layer_free(layer) }
    let (found, expected) = try Self.run(layer)
    let error = relativeError(found, expected)
    #expect(error < tolerance)
    #expect(type == nil || error > tolerance / 100, "it was quantised")
  }

  @Test func weightsThatDoNotFitAreListed() throws {
    var given = Given(.fused)
    given.weights.down.shape.1 = 60
    given.weights.down.strides.0 = 60 * 32
    var layer: OpaquePointer?
    expect(moe_layer_create(&given.weights, nil, &layer), MOE_INVALID_ARGUMENT, "activation", "NULL")
    "silu".withCString { activation in
      given.weights.activation = activation
      expect(moe_layer_create(&given.weights, nil, &layer), MOE_INVALID_ARGUMENT, "down", "[4, 64, 32]", "[4, 60, 32]")
      given.weights.down.strides.1 = 33
      expect(moe_layer_create(&given.weights, nil, &layer), MOE_INVALID_ARGUMENT, "down", "gaps")
      given.weights.down.data = nil
      expect(moe_layer_create(&given.weights, nil, &layer), MOE_INVALID_ARGUMENT, "down", "NULL")
      given.weights.gate_up.dtype = moe_dtype(MOE_I32)
      expect(moe_layer_create(&given.weights, nil, &layer), MOE_INVALID_ARGUMENT, "gate_up", "I32")
    }
    "tanh".withCString { activation in
      given.weights.activation = activation
      expect(moe_layer_create(&given.weights, nil, &layer), MOE_INVALID_ARGUMENT, "tanh", "silu")
    }
    #expect(layer == nil)
  }

  /// Tensors that are pushed by name give the layer of the files; what is missing is listed; a second stream replaces.
  @Test func tensorsArePushed() throws {
    let checkpoint = try Fixture.checkpoint()
    defer { moe_checkpoint_free(checkpoint) }
    var loader: OpaquePointer?
    try expectOK(moe_loader_create(checkpoint, 0, nil, &loader))
    defer { moe_loader_free(loader) }
    let model = try MoEModel(opening: Fixture.path)
    let tensors = model.layers[0].experts.tensors
    func push(_ tensor: TensorRecord, times factor: Float = 1) throws -> moe_result {
      let type = try #require([.f32: MOE_F32, .bf16: MOE_BF16, .f16: MOE_F16][tensor.elementType])
      let values = try model.checkpoint.catalog.floats(of: tensor).map { factor * $0 }
      let memory = Memory(tensor.elementType.encode(values))
      var given = memory.matrix(type, tensor.shape[0], tensor.shape[1])
      return moe_loader_push(loader, tensor.name, &given)
    }
    for tensor in tensors.dropLast() { try expectOK(push(tensor)) }
    var layer: OpaquePointer?
    expect(
      moe_loader_finish(loader, &layer), MOE_INVALID_ARGUMENT, "not pushed", try #require(tensors.last).name)
    expect(try push(tensors[0]), MOE_INVALID_ARGUMENT, "pushed before")
    expect(moe_loader_push(loader, "nobody", nil), MOE_INVALID_ARGUMENT, "tensor")
    try expectOK(push(tensors.last!))
    try expectOK(moe_loader_finish(loader, &layer))
    defer { moe_layer_free(layer) }

    func block() throws -> [Float] {
      let (input, output) = (
        Memory(try Fixture.oracle("layers.0.input")), Memory([Float](repeating: 0, count: 16 * 64))
      )
      var batch = moe_batch_make()
      batch.hidden = input.matrix(MOE_F32, 16, 64)
      batch.output = output.matrix(MOE_F32, 16, 64)
      batch.whole_block = 1
      try expectOK(moe_layer_forward(layer, &batch))
      return output.values
    }
    let expected = try Fixture.oracle("layers.0.block_output")
    #expect(relativeError(try block(), expected) < 1e-5)
    for tensor in tensors { try expectOK(push(tensor, times: tensor.name.contains("w2") ? 2 : 1)) }
    try expectOK(moe_loader_finish(loader, nil))
    #expect(relativeError(try block(), expected.map { 2 * $0 }) < 1e-5)
  }
}
