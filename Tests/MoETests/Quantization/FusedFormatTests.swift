// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import MoE
import Tensors
import Testing

/// Fused quantised experts hold what those do that have tensors of their own: names with `_`, weights `[in, out]`, and
/// scales that all experts have in common.
@Suite struct FusedFormatTests {
  private static let (experts, hidden, intermediate) = (4, 32, 16)

  /// Llama-4 of one layer with tensors of random bytes.
  private struct Model {
    var fixture: CheckpointFixture
    let prefix = "language_model.model.layers.0.feed_forward."

    init(_ quantization: JSONValue) {
      fixture = CheckpointFixture(configuration: [
        "model_type": "llama4_text", "architectures": ["Llama4ForCausalLM"], "num_hidden_layers": 1,
        "hidden_size": .integer(hidden), "intermediate_size": .integer(intermediate),
        "num_local_experts": .integer(FusedFormatTests.experts), "num_experts_per_tok": 1,
        "quantization_config": quantization,
      ])
      fixture.add(prefix + "router.weight", [FusedFormatTests.experts, hidden])
      for (name, shape) in [("gate_proj", [16, 32]), ("up_proj", [16, 32]), ("down_proj", [32, 16])] {
        fixture.add(prefix + "shared_expert.\(name).weight", Shape(shape))
      }
    }

    mutating func add(_ name: String, _ type: ElementType, _ shape: Shape, _ bytes: [UInt8]) {
      fixture.tensors[prefix + "experts." + name] = CheckpointFixture.Tensor(
        elementType: type, shape: shape, bytes: bytes)
    }

    func loaded() throws -> [[ExpertTensor]] {
      let folder = try TemporaryFolder()
      try fixture.write(to: folder.path)
      let model = try MoEModel(opening: folder.path)
      let layer = try model.layer(0)
      let united = try (0..<2).map { rank in
        try LoadPlan(
          layer.experts, on: CPUBackend(), as: ParallelLayout(tensorParallel: 2, expertParallel: 1, rank: rank))
      }
      #expect(united.map(\.bytesToRead).reduce(0, +) >= layer.experts.storedBytes)
      let plan = try LoadPlan(layer.experts, on: CPUBackend())
      #expect(plan.notes == [])
      return try plan.slots.map { try plan.values(of: $0, from: model.checkpoint.catalog) }
    }
  }

  private func codes(_ count: Int, seed: UInt64) -> [UInt8] {
    var random = SplitMix64(seed: seed)
    return (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) & 0xF7 }  // No NaN.
  }

  private func scales(_ count: Int, seed: UInt64) -> [Float] {
    randomValues(count, seed: seed, deviation: 0.1).map { $0.magnitude + 0.01 }
  }

  private func turned(_ bytes: [UInt8], rows: Int, columns: Int) -> [UInt8] {
    (0..<columns).flatMap { column in (0..<rows).map { bytes[$0 * columns + column] } }
  }

  /// fbgemm's Llama-4, as transformers writes it: scales `[E, 1, 2I]` and `[E, H, 1]`.
  @Test func fbgemm() throws {
    var (fused, apart) = (Model(["quant_method": "fbgemm_fp8"]), Model(["quant_method": "fbgemm_fp8"]))
    var all: [String: (codes: [UInt8], scales: [Float])] = [:]
    for expert in 0..<4 {
      let gateUp = codes(32 * 32, seed: UInt64(expert)), down = codes(32 * 16, seed: UInt64(expert + 10))
      let gateUpScales = scales(32, seed: UInt64(expert + 20)), downScales = scales(32, seed: UInt64(expert + 30))
      for (name, rows) in [("gate_proj", 0..<16), ("up_proj", 16..<32)] {
        apart.add(
          "\(expert).\(name).weight", .f8e4m3, [16, 32], Array(gateUp[rows.lowerBound * 32..<rows.upperBound * 32]))
        apart.add("\(expert).\(name).weight_scale", .f32, [16, 1], ElementType.f32.encode(Array(gateUpScales[rows])))
      }
      apart.add("\(expert).down_proj.weight", .f8e4m3, [32, 16], down)
      apart.add("\(expert).down_proj.weight_scale", .f32, [32, 1], ElementType.f32.encode(downScales))
      all["gate_up_proj", default: ([], [])].codes += turned(gateUp, rows: 32, columns: 32)
      all["gate_up_proj"]!.scales += gateUpScales
      all["down_proj", default: ([], [])].codes += turned(down, rows: 32, columns: 16)
      all["down_proj"]!.scales += downScales
    }
    fused.add("gate_up_proj", .f8e4m3, [4, 32, 32], all["gate_up_proj"]!.codes)
    fused.add("gate_up_proj_scale", .f32, [4, 1, 32], ElementType.f32.encode(all["gate_up_proj"]!.scales))
    fused.add("down_proj", .f8e4m3, [4, 16, 32], all["down_proj"]!.codes)
    fused.add("down_proj_scale", .f32, [4, 32, 1], ElementType.f32.encode(all["down_proj"]!.scales))
    #expect(try fused.loaded() == apart.loaded())
  }

  /// ModelOpt's names, with a scale for each expert and with one for all.
  @Test(arguments: [[4], [], [1]] as [[Int]]) func modelOpt(shape: [Int]) throws {
    let settings: JSONValue = ["quant_method": "modelopt", "quant_algo": "FP8"]
    var (fused, apart) = (Model(settings), Model(settings))
    for (name, parts, rows, columns) in [
      ("gate_up_proj", ["gate_proj", "up_proj"], 32, 32), ("down_proj", ["down_proj"], 32, 16),
    ] {
      let scale = scales(shape == [4] ? 4 : 1, seed: UInt64(rows + columns))
      var all: [UInt8] = []
      for expert in 0..<4 {
        let own = codes(rows * columns, seed: UInt64(expert + columns))
        all += turned(own, rows: rows, columns: columns)
        let size = own.count / parts.count
        for (index, part) in parts.enumerated() {
          let stem = "\(expert).\(part)"
          apart.add(
            "\(stem).weight", .f8e4m3, [rows / parts.count, columns], Array(own[index * size..<(index + 1) * size]))
          apart.add("\(stem).weight_scale", .f32, [], ElementType.f32.encode([scale[shape == [4] ? expert : 0]]))
          apart.add("\(stem).input_scale", .f32, [], ElementType.f32.encode([0.5]))
        }
      }
      fused.add(name, .f8e4m3, [4, columns, rows], all)
      fused.add(name + "_weight_scale", .f32, Shape(shape), ElementType.f32.encode(scale))
      fused.add(name + "_input_scale", .f32, [], ElementType.f32.encode([0.5]))
    }
    #expect(try fused.loaded() == apart.loaded())
  }

  /// NVFP4 under ModelOpt's fused names, output-major.
  @Test func fusedNVFP4() throws {
    let settings: JSONValue = ["quant_method": "modelopt", "quant_algo": "NVFP4"]
    var (fused, apart) = (Model(settings), Model(settings))
    for (name, parts, rows, columns) in [
      ("gate_up_proj", ["gate_proj", "up_proj"], 32, 32), ("down_proj", ["down_proj"], 32, 16),
    ] {
      let count = 4 * rows * columns
      let bytes = codes(count / 2, seed: UInt64(columns)),
        blocks = codes(count / 16, seed: UInt64(rows)).map { $0 & 0x77 | 1 }
      fused.add(name, .u8, [4, rows, columns / 2], bytes)
      fused.add(name + "_weight_scale", .f8e4m3, [4, rows, columns / 16], blocks)
      fused.add(name + "_weight_scale_2", .f32, [4], ElementType.f32.encode([0.5, 0.25, 0.125, 1]))
      fused.add(name + "_input_scale", .f32, [4], ElementType.f32.encode([1, 1, 1, 1]))
      for expert in 0..<4 {
        for (index, part) in parts.enumerated() {
          let unit = expert * parts.count + index, own = rows / parts.count
          func slice(_ bytes: [UInt8], per: Int) -> [UInt8] {
            let size = own * columns / per
            return Array(bytes[unit * size..<(unit + 1) * size])
          }
          apart.add("\(expert).\(part).weight", .u8, [own, columns / 2], slice(bytes, per: 2))
          apart.add("\(expert).\(part).weight_scale", .f8e4m3, [own, columns / 16], slice(blocks, per: 16))
          apart.add(
            "\(expert).\(part).weight_scale_2", .f32, [], ElementType.f32.encode([[0.5, 0.25, 0.125, 1][expert]]))
          apart.add("\(expert).\(part).input_scale", .f32, [], ElementType.f32.encode([1]))
        }
      }
    }
    #expect(try fused.loaded() == apart.loaded())
  }

  /// Blocks of weights `[in, out]` could be meant in two ways.
  @Test func turnedBlocks() {
    var model = Model(["quant_method": "fp8", "weight_block_size": [16, 16]])
    model.add("gate_up_proj", .f8e4m3, [4, 32, 32], codes(4096, seed: 1))
    model.add("gate_up_proj_scale_inv", .f32, [4, 2, 2], ElementType.f32.encode(scales(16, seed: 2)))
    model.add("down_proj", .f8e4m3, [4, 16, 32], codes(2048, seed: 3))
    model.add("down_proj_scale_inv", .f32, [4, 1, 2], ElementType.f32.encode(scales(8, seed: 2)))
    expectFault(.unsupported, "no defined form with weights [in, out]") { _ = try model.loaded() }
  }
}
