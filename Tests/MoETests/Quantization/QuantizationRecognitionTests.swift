// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import MoE
import Tensors
import Testing

/// Formats as configurations and tensors show them.
@Suite struct QuantizationRecognitionTests {
  typealias Headers = [String: ProjectionTensors.Header]

  struct Example: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var settings: JSONValue
    var tensors: Headers

    init(_ name: String, _ settings: JSONValue, _ tensors: Headers) {
      testDescription = name
      self.settings = settings
      self.tensors = tensors
    }
  }

  static let fp8: Headers = [".weight": .init(.f8e4m3, [256, 256])]
  static let gptq: Headers = [
    ".qweight": .init(.i32, [32, 256]), ".qzeros": .init(.i32, [2, 32]), ".scales": .init(.f16, [2, 256]),
  ]
  static let mxfp4: Headers = [".weight": .init(.u8, [256, 128]), ".weight_scale": .init(.u8, [256, 8])]

  /// The name of the scheme, the configuration, the tensors.
  static let examples: [Example] = [
    Example("BF16", ["quant_method": "fp8"], [".weight": .init(.bf16, [256, 256])]),
    Example("BF16", ["quant_method": "nobody's"], ["": .init(.bf16, [4, 256, 256])]),
    Example(
      "fp8, per tensor", ["quant_method": "fp8"], fp8.merging([".weight_scale": .init(.f32, [1])]) { $1 }),
    Example(
      "fp8, per tensor", ["quant_method": "quark"], fp8.merging([".weight_scale": .init(.f32, [])]) { $1 }),
    Example(
      "fp8, per channel", ["quant_method": "quark"], fp8.merging([".weight_scale": .init(.f32, [256])]) { $1 }),
    Example(
      "fp8, per channel", ["quant_method": "fbgemm_fp8"], fp8.merging([".weight_scale": .init(.f32, [256, 1])]) { $1 }),
    Example(
      "fp8, blocks of 64×32", ["quant_method": "fp8", "weight_block_size": [64, 32]],
      fp8.merging([".weight_scale_inv": .init(.bf16, [4, 8])]) { $1 }),
    Example(
      "fp8, blocks of 128×128", ["quant_method": "fp8", "weight_block_size": [128, 128]],
      fp8.merging([".scale": .init(.f8e8m0, [2, 2])]) { $1 }),
    Example(
      "fp8, blocks of 128×128", ["quant_method": "fp8", "weight_block_size": [128, 128]],
      ["": .init(.f8e4m3, [256, 256]), "_scale_inv": .init(.f32, [2, 2])]),
    Example(
      "fp8, per tensor", ["quant_method": "modelopt", "quant_algo": "FP8"],
      fp8.merging([".weight_scale": .init(.f32, [])]) { $1 }),
    Example(
      "mxfp8", ["quant_method": "modelopt", "quant_algo": "MXFP8"],
      fp8.merging([".weight_scale": .init(.u8, [256, 8])]) { $1 }),
    Example("mxfp4", ["quant_method": "modelopt", "quant_algo": "W4A8_MXFP4_FP8", "group_size": 32], mxfp4),
    Example("mxfp4", ["quant_method": "quark"], mxfp4),
    Example("mxfp4", ["quant_method": "auto-round", "packing_format": "auto_round:llm_compressor"], mxfp4),
    Example(
      "mxfp4", ["quant_method": "fp8", "weight_block_size": [128, 128], "expert_dtype": "fp4"],
      [".weight": .init(.i8, [256, 128]), ".scale": .init(.f8e8m0, [256, 8])]),
    Example(
      "mxfp6 e3m2", ["quant_method": "quark", "global_quant_config": ["weight": ["dtype": "fp6_e3m2"]]],
      [".weight": .init(.u8, [256, 192]), ".weight_scale": .init(.u8, [256, 8])]),
    Example(
      "mxfp4 blocks", ["quant_method": "mxfp4"],
      ["_blocks": .init(.u8, [4, 256, 8, 16]), "_scales": .init(.u8, [4, 256, 8])]),
    Example("GPTQ, 4 bits, groups of 128", ["quant_method": "gptq", "bits": 4, "group_size": 128], gptq),
    Example("GPTQ, 4 bits, per channel", ["quant_method": "gptq", "bits": 4, "group_size": -1], gptq),
    Example(
      "GPTQ, 4 bits, groups of 128",
      ["quant_method": "auto-round", "bits": 4, "group_size": 128, "packing_format": "auto_round:auto_gptq"],
      gptq),
    Example(
      "AWQ, 4 bits, groups of 128",
      ["quant_method": "auto-round", "bits": 4, "group_size": 128, "packing_format": "auto_round:auto_awq"],
      gptq),
    Example("AWQ, 4 bits, groups of 64", ["quant_method": "awq", "bits": 4, "group_size": 64], gptq),
    Example(
      "GPTQ, 8 bits, groups of 128",
      [
        "quant_method": "gptq", "bits": 4, "group_size": 128,
        "dynamic": [#"+:.*experts.*up_proj"#: ["bits": 8], "-:.*gate$": [:]],
      ],
      gptq),
    Example(
      "GPTQ, 8 bits, groups of 32",
      [
        "quant_method": "auto-round", "bits": 4, "group_size": 128, "packing_format": "auto_round:auto_gptq",
        "extra_config": [
          ".*experts.*": ["bits": 8], "m.experts.0.up_proj": ["group_size": 32], "m.gate": ["bits": 16],
        ],
      ], gptq),
    Example("GPTQ, 4 bits, groups of 128", ["bits": 4, "group_size": 128], gptq),
    Example(
      "AWQ, 4 bits, groups of 128", ["bits": 4, "group_size": 128],
      [".qweight": .init(.i32, [256, 32]), ".qzeros": .init(.i32, [2, 32]), ".scales": .init(.f16, [2, 256])]),
    Example(
      "int8, per channel", ["quant_method": "quark"],
      [".weight": .init(.i8, [256, 256]), ".weight_scale": .init(.f32, [256])]),
    Example(
      "bitsandbytes int8", ["quant_method": "bitsandbytes"], [".weight": .init(.i8, [8, 8]), ".SCB": .init(.f32, [8])]),
    Example(
      "bitsandbytes nf4, flat blocks of 128", ["quant_method": "bitsandbytes", "load_in_4bit": true],
      [
        ".weight": .init(.u8, [32768, 1]), ".weight.absmax": .init(.f32, [512]),
        ".weight.quant_state.bitsandbytes__nf4": .init(.u8, [80]),
      ]),
    Example(
      "nvfp4", ["quant_method": "modelopt", "quant_algo": "NVFP4", "group_size": 16],
      [
        ".weight": .init(.u8, [256, 128]), ".weight_scale": .init(.f8e4m3, [256, 16]),
        ".weight_scale_2": .init(.f32, []),
      ]),
  ]

  private func scheme(
    _ quantization: JSONValue, _ tensors: Headers, module: String = "m.experts.0.up_proj",
    key: String = "quantization_config"
  ) throws -> any QuantizationScheme {
    let settings = try QuantizationSettings([key: quantization], file: "config.json")
    return try QuantizationRegistry.standard.scheme(of: ProjectionTensors(module, tensors), settings)
  }

  @Test(arguments: examples) func isRecognised(example: Example) throws {
    #expect(try scheme(example.settings, example.tensors).name == example.testDescription)
    #expect(try scheme(example.settings, example.tensors, key: "compression_config").name == example.testDescription)
  }

  /// Groups with a format of their own: a name counts before an expression, and that before a class.
  @Test func mixedGroups() throws {
    func weights(_ bits: Int, _ type: String, _ strategy: String, _ size: Int?) -> JSONValue {
      [
        "num_bits": .integer(bits), "type": .string(type), "strategy": .string(strategy),
        "group_size": size.map { .integer($0) } ?? .null,
      ]
    }
    let settings: JSONValue = [
      "quant_method": "compressed-tensors", "format": "mixed-precision",
      "config_groups": [
        "a": ["targets": ["Linear"], "weights": weights(8, "float", "channel", nil), "format": "float-quantized"],
        "b": [
          "targets": [#"re:.*experts\.\d+\.down_proj$"#], "weights": weights(4, "int", "group", 32),
          "format": "pack-quantized",
        ],
        "c": ["targets": ["m.experts.7.down_proj"], "weights": weights(8, "int", "group", 64)],
      ],
    ]
    let packed: Headers = [".weight_packed": .init(.i32, [256, 32]), ".weight_scale": .init(.bf16, [256, 8])]
    let float = Self.fp8.merging([".weight_scale": .init(.bf16, [256, 1])]) { $1 }
    #expect(try scheme(settings, float, module: "m.experts.0.up_proj").name == "fp8, per channel")
    #expect(
      try scheme(settings, packed, module: "m.experts.0.down_proj").name == "pack-quantized, 4 bits, groups of 32")
    #expect(
      try scheme(settings, packed, module: "m.experts.7.down_proj").name == "pack-quantized, 8 bits, groups of 64")
  }

  @Test func modelOptFile() throws {
    let file: JSONValue = [
      "producer": ["name": "modelopt"],
      "quantization": [
        "quant_algo": "MIXED_PRECISION", "exclude_modules": ["lm_head*", "*router*"],
        "quantized_layers": ["m.experts.0.up_proj": ["quant_algo": "NVFP4", "group_size": 16]],
      ],
    ]
    let settings = try QuantizationSettings([:], file: "config.json", modelOpt: file)
    #expect(settings.method == "modelopt" && settings.ignores("m.router.0") && !settings.ignores("m.experts.0.up_proj"))
    #expect(try settings.module("m.experts.0.up_proj").string("quant_algo") == "NVFP4")
    #expect(try settings.module("m.experts.0.down_proj").string("quant_algo") == "MIXED_PRECISION")
    expectFaults([.configuration], ["hf_quant_config.json", "quantization"]) {
      _ = try QuantizationSettings([:], file: "config.json", modelOpt: [:])
    }
  }

  /// Another package's format goes first.
  @Test func ownFormat() throws {
    struct Bytes: QuantizationScheme {
      static let formatName = "bytes"
      static let methods = ["bytes"]
      static func recognize(_ found: ProjectionTensors, _ settings: ModuleSettings) -> Bytes? {
        found[".bytes"] == nil ? nil : Bytes()
      }
      var name: String { "bytes" }
      var tensors: [QuantizedTensor] { [QuantizedTensor(.weight, [".bytes"], [.u8], [.rows, .columns])] }
      var parameters: QuantizationParameters { QuantizationParameters(.int8, .tensor, bits: 8) }
      func makeDecoder(_ stored: StoredProjection) throws(MoEError) -> any TileDecoder {
        try Unquantized(.u8).makeDecoder(stored)
      }
    }
    var registry = QuantizationRegistry.standard
    registry.register(Bytes.self)
    let settings = try QuantizationSettings(["quantization_config": ["quant_method": "bytes"]], file: "config.json")
    let scheme = try registry.scheme(of: ProjectionTensors("m", [".bytes": .init(.u8, [1, 2])]), settings)
    let stored = StoredProjection("m", rows: 1, columns: 2, [.weight: StoredTensor(.u8, [1, 2], [3, 250])])
    #expect(try scheme.decoder(of: stored).decode() == [3, 250])
  }
}
