// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import MoE
import Testing

/// Ignore lists and targets.
@Suite struct ModulePatternTests {
  @Test(arguments: [
    ("lm_head", "lm_head", true), ("lm_head", "model.lm_head", true), ("lm_head", "lm_heads", false),
    ("model.layers.1", "model.layers.1.mlp.experts.0.up_proj", true), ("model.layers.1", "model.layers.10.mlp", false),
    ("gate", "model.layers.0.mlp.gate", true), ("gate", "model.layers.0.mlp.experts.0.gate_proj", false),
    ("mlp.gate", "model.layers.0.mlp.gate", true), ("", "model", false),
    ("re:.*mlp.gate$", "model.layers.0.mlp.gate", true), ("re:.*mlp.gate$", "model.layers.0.mlp.gate_proj", false),
    ("re:mlp", "model.mlp", false), ("re:model", "model.mlp", true),
    ("model.layers.*.self_attn", "model.layers.12.self_attn", true),
    ("model.layers.*.self_attn", "model.layers.12.self_attn.q_proj", false), ("*self_attn*", "a.self_attn.q", true),
    ("lm_head*", "lm_head", true), ("layers.?.mlp", "layers.3.mlp", true), ("layers.?.mlp", "layers.33.mlp", false),
    ("*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false),
  ])
  func matches(_ pattern: String, _ module: String, _ expected: Bool) throws {
    #expect(try ModulePattern(pattern).matches(module) == expected)
  }

  @Test func entriesThatMatchNothing() throws {
    let settings = try QuantizationSettings(
      [
        "quantization_config": [
          "quant_method": "fp8", "ignored_layers": ["a.gate", "b"], "modules_to_not_convert": nil,
        ]
      ],
      file: "config.json")
    #expect(settings.unmatched(["x.a.gate", "c"]).map(\.text) == ["b"])
    #expect(settings.ignores("x.a.gate.weight") && !settings.ignores("c"))
  }
}
