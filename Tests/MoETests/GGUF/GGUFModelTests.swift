// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import MoE
import Tensors
import Testing

/// How experts lie in GGUF files, and what is wrong with files that look right.
@Suite struct GGUFModelTests {
  /// Fused gate and up, and a tensor for each expert, hold the same as stacked ones.
  @Test(arguments: [GGMLType.f32, .q8_0, .mxfp4])
  func layouts(type: GGMLType) throws {
    let stacked = GGUFFixture("llama", type: type)
    let gate = stacked.tensors["blk.0.ffn_gate_exps.weight"]!
    let up = stacked.tensors["blk.0.ffn_up_exps.weight"]!
    func expert(_ tensor: GGUFFixture.Tensor, _ number: Int) -> [UInt8] {
      let size = tensor.bytes.count / 4
      return Array(tensor.bytes[number * size..<(number + 1) * size])
    }

    var fused = stacked
    fused.remove("ffn_gate_exps.weight", "ffn_up_exps.weight")
    fused.tensors["blk.0.ffn_gate_up_exps.weight"] = GGUFFixture.Tensor(
      type: type, shape: [4, 64, 64], bytes: (0..<4).flatMap { expert(gate, $0) + expert(up, $0) })
    var apart = stacked
    for name in ["gate", "up", "down"] {
      let all = stacked.tensors["blk.0.ffn_\(name)_exps.weight"]!
      apart.remove("ffn_\(name)_exps.weight")
      for number in 0..<4 {
        apart.tensors["blk.0.ffn_\(name).\(number).weight"] = GGUFFixture.Tensor(
          type: type, shape: Array(all.shape.dropFirst()), bytes: expert(all, number))
      }
    }
    let expected = try stacked.output()
    #expect(expected.contains { $0 != 0 })
    expectSameBits(try fused.output(), expected)
    expectSameBits(try apart.output(), expected)

    apart.tensors["blk.0.ffn_up.4.weight"] = apart.tensors["blk.0.ffn_up.3.weight"]
    apart.remove("ffn_down.2.weight")
    expectFaults([.unexpectedTensor, .missingTensor], ["ffn_up.4.weight", "ffn_down.2.weight"]) {
      _ = try apart.model()
    }
  }

  /// Two block types of one size are not the same.
  @Test func mixedExperts() throws {
    var fixture = GGUFFixture("llama", type: .q4_0)
    for name in ["gate", "up", "down"] {
      fixture.remove("ffn_\(name)_exps.weight")
      for number in 0..<4 {
        let type = name == "down" && number == 2 ? GGMLType.iq4_NL : .q4_0
        fixture.add("ffn_\(name).\(number).weight", name == "down" ? [64, 32] : [32, 64], type)
      }
    }
    expectFaults([.typeMismatch], ["ffn_down.2.weight", "expected Q4_0, found IQ4_NL"]) { _ = try fixture.model() }
  }

  /// The scale of an NVFP4 matrix is a tensor of its own.
  @Test func scales() throws {
    var fixture = GGUFFixture("llama", type: .nvfp4)
    fixture.remove("ffn_down_exps.weight")
    fixture.add("ffn_down_exps.weight", [4, 64, 32], .q8_0)
    let plain = try fixture.output()
    fixture.add("ffn_up_exps.scale", [4], values: [0.5, 0.5, 0.5, 0.5])
    fixture.add("ffn_up_exps.input_scale", [4], values: [1, 1, 1, 1])
    for (scaled, value) in zip(try fixture.output(), plain) { #expect(abs(scaled - value / 2) <= 1e-5 * abs(value)) }
    fixture.add("ffn_down_exps.scale", [4], values: [1, 1, 1, 1])
    expectFaults([.unexpectedTensor], ["ffn_down_exps.scale"]) { _ = try fixture.model() }
  }

  /// Gemma-4 has a scale of each expert under the name that NVFP4 has for the scale of a matrix: it must not count twice.
  @Test func scaleWithTwoMeanings() throws {
    var fixture = GGUFFixture("gemma4")
    fixture.remove("ffn_gate_exps.weight", "ffn_up_exps.weight", "ffn_down_exps.weight")
    fixture["feed_forward_length"] = .count(64)
    fixture.add("ffn_gate_up_exps.weight", [4, 128, 64])
    fixture.add("ffn_gate_inp.scale", [64])
    fixture.add("ffn_down_exps.scale", [4], values: [1, 2, 3, 4])
    fixture.add("ffn_down_exps.weight", [4, 64, 64])
    #expect(try fixture.model().model.layers.count == 1)
    fixture.add("ffn_down_exps.weight", [4, 64, 64], .nvfp4)
    expectFaults([.ambiguousLayout], ["ffn_down_exps.scale", "two meanings", "per-expert scale"]) {
      _ = try fixture.model()
    }
  }

  struct BadFile: Sendable, CustomTestStringConvertible {
    var codes: [Fault.Code]
    var fragments: [String]
    var change: @Sendable (inout GGUFFixture) -> Void

    var testDescription: String { fragments.joined(separator: ", ") }

    init(_ codes: [Fault.Code], _ fragments: [String], _ change: @escaping @Sendable (inout GGUFFixture) -> Void) {
      (self.codes, self.fragments, self.change) = (codes, fragments, change)
    }
  }

  static let badMetadata: [BadFile] = [
    BadFile([.configuration], ["the number of experts is not given", "llama.expert_count"]) {
      $0["expert_count"] = nil
    },
    BadFile([.configuration, .configuration], ["llama.expert_used_count", "llama.embedding_length"]) {
      $0["expert_used_count"] = nil
      $0["embedding_length"] = nil
    },
    BadFile([.configuration], ["llama.expert_feed_forward_length, llama.feed_forward_length"]) {
      $0["feed_forward_length"] = nil
    },
    BadFile([.configuration], ["llama.expert_count", "four"]) { $0["expert_count"] = .text("four") },
    BadFile([.configuration], ["llama.expert_gating_func", "expected softmax, found sigmoid"]) {
      $0["expert_gating_func"] = .count(2)
    },
    BadFile([.configuration], ["llama.expert_gating_func", "found 9"]) { $0["expert_gating_func"] = .count(9) },
    BadFile([.configuration, .configuration], ["llama.expert_weights_norm", "llama.expert_weights_scale"]) {
      $0["expert_weights_norm"] = .flag(false)
      $0["expert_weights_scale"] = .number(2)
    },
    BadFile([.configuration], ["llama.swiglu_clamp_exp"]) { $0["swiglu_clamp_exp"] = .number(7) },
  ]

  static let badTensors: [BadFile] = [
    BadFile(
      [.shapeMismatch, .shapeMismatch, .shapeMismatch, .shapeMismatch], ["[8, 32, 64]", "found [4, 32, 64]"]
    ) { $0["expert_count"] = .count(8) },
    BadFile([.missingTensor], ["blk.0.ffn_up_exps"]) { $0.remove("ffn_up_exps.weight") },
    BadFile([.missingTensor], ["blk.0.ffn_gate_inp.weight"]) { $0.remove("ffn_gate_inp.weight") },
    BadFile([.missingTensor], ["no experts"]) {
      $0.remove("ffn_gate_exps.weight", "ffn_up_exps.weight", "ffn_down_exps.weight")
    },
    BadFile([.unexpectedTensor], ["ffn_up_exps.scale"]) { $0.add("ffn_up_exps.scale", [4]) },
    BadFile([.unexpectedTensor], ["ffn_up_shexp"]) { $0.add("ffn_up_shexp.weight", [32, 64]) },
  ]

  @Test(arguments: badMetadata + badTensors)
  func badFiles(bad: BadFile) throws {
    var fixture = GGUFFixture("llama")
    bad.change(&fixture)
    expectFaults(bad.codes, bad.fragments) { _ = try fixture.model() }
  }

  /// Sizes of blocks count in weights.
  @Test func shapesOfBlocks() throws {
    var fixture = GGUFFixture("llama", type: .q8_0)
    fixture.add("ffn_down_exps.weight", [4, 64, 64], .q8_0)
    expectFault(.shapeMismatch, "ffn_down_exps.weight") { _ = try fixture.model() }
    fixture = GGUFFixture("llama", type: .q8_0)
    fixture["feed_forward_length"] = .count(33)
    expectFault(.shapeMismatch, "ffn_down_exps.weight") { _ = try fixture.model() }
  }
}
