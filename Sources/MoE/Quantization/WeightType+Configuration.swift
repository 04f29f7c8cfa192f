// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import Checkpoints

extension WeightType {
  /// The `quantization_config` of `config.json` that tells readers (this package, vLLM, transformers) about weights of
  /// this type; nil for weights that are not quantised, and for GGUF, which says it for each tensor.
  ///
  /// - Parameter modules: Names of modules that are left as they are: gates, `lm_head`.
  public func quantizationConfiguration(ignoring modules: [String]) -> JSONValue? {
    let ignored = JSONValue.array(modules.map { .string($0) })
    switch self {
    case .f32, .f16, .bf16, .ggml: return nil
    case .fp8Tensor: return ["quant_method": "fp8", "activation_scheme": "dynamic", "ignored_layers": ignored]
    case .fp8Block:
      return [
        "quant_method": "fp8", "fmt": "e4m3", "activation_scheme": "dynamic", "weight_block_size": [128, 128],
        "modules_to_not_convert": ignored,
      ]
    case .fp8Channel:
      return compressedTensors("float-quantized", .float(8, "channel"), activations: .float(8, "token"), ignored)
    case .int8Channel:
      return compressedTensors("int-quantized", .integers(8, "channel"), activations: .integers(8, "token"), ignored)
    case .int8Group(let size):
      return compressedTensors("pack-quantized", .integers(8, "group", groupSize: size), ignored)
    case .int4Group(let size, let isSymmetric):
      return compressedTensors(
        "pack-quantized", .integers(4, "group", groupSize: size, isSymmetric: isSymmetric), ignored)
    case .mxfp4: return compressedTensors("mxfp4-pack-quantized", .float(4, "group", groupSize: 32), ignored)
    case .mxfp8:
      let numbers = Numbers.float(8, "group", groupSize: 32)
      return compressedTensors("mxfp8-quantized", numbers, activations: numbers, ignored)
    case .nvfp4: return compressedTensors("nvfp4-pack-quantized", .float(4, "tensor_group", groupSize: 16), ignored)
    case .nf4:
      return [
        "quant_method": "bitsandbytes", "load_in_4bit": true, "load_in_8bit": false, "bnb_4bit_quant_type": "nf4",
        "bnb_4bit_use_double_quant": false, "bnb_4bit_compute_dtype": "bfloat16", "bnb_4bit_quant_storage": "uint8",
        "llm_int8_skip_modules": ignored,
      ]
    }
  }

  /// What compressed-tensors says about weights or activations.
  private struct Numbers {
    var bits: Int
    var type: String
    var strategy: String
    var groupSize: Int?
    var isSymmetric = true

    static func float(_ bits: Int, _ strategy: String, groupSize: Int? = nil) -> Self {
      Self(bits: bits, type: "float", strategy: strategy, groupSize: groupSize)
    }

    static func integers(
      _ bits: Int, _ strategy: String, groupSize: Int? = nil, isSymmetric: Bool = true
    ) -> Self {
      Self(bits: bits, type: "int", strategy: strategy, groupSize: groupSize, isSymmetric: isSymmetric)
    }

    func json(isDynamic: Bool) -> JSONValue {
      [
        "num_bits": .integer(bits), "type": .string(type), "strategy": .string(strategy),
        "group_size": groupSize.map { .integer($0) } ?? .null, "symmetric": .bool(isSymmetric),
        "dynamic": .bool(isDynamic),
      ]
    }
  }

  private func compressedTensors(
    _ format: String, _ weights: Numbers, activations: Numbers? = nil, _ ignored: JSONValue
  ) -> JSONValue {
    [
      "quant_method": "compressed-tensors", "format": .string(format), "quantization_status": "compressed",
      "ignore": ignored,
      "config_groups": [
        "group_0": [
          "targets": ["Linear"], "weights": weights.json(isDynamic: false),
          "input_activations": activations?.json(isDynamic: true) ?? .null,
        ]
      ],
    ]
  }
}
