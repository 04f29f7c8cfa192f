// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Checkpoints

extension ActivationScheme {
  /// What the configuration declares for the input of a module with quantised weights.
  ///
  /// | `quant_method` | says it by |
  /// |---|---|
  /// | `compressed-tensors` | `input_activations` of its group |
  /// | `fp8` | `activation_scheme`, with `weight_block_size` and `scale_fmt` |
  /// | `fbgemm_fp8` | itself: per token, up to `activation_scale_ub` |
  /// | `modelopt` | `quant_algo`, else `input_activations` |
  /// | `quark` | `input_tensors` |
  /// | AutoRound | `act_bits` |
  ///
  /// Other methods quantise weights only.
  ///
  /// - Throws: `.configuration` for a value of the wrong type.
  static func declared(for found: ProjectionTensors, _ settings: ModuleSettings) throws(MoEError) -> Self {
    switch settings.method {
    case "fp8": try fp8(settings)
    case "fbgemm_fp8": try fbgemm(settings)
    case "modelopt": try modelOpt(found, settings)
    case "quark": try quark(settings)
    case "auto-round", "intel/auto-round": try autoRound(settings)
    default: try compressedTensors(settings)
    }
  }

  /// Schemes by the type and bits of the codes, what shares a scale, and when it is known.
  private static let named: [String: Self] = [
    "float8 tensor static": .tensor(.fp8, isStatic: true),
    "float8 tensor dynamic": .tensor(.fp8, isStatic: false),
    "float8 token dynamic": .token(.fp8),
    "float8 group128 dynamic": .group(128),
    "float8 group32 dynamic": .mxfp8,
    "float4 group32 dynamic": .mxfp4,
    // The scales of groups are always dynamic; "local" and "static" speak of the one above them.
    "float4 group16 local": .nvfp4(isStatic: true),
    "float4 group16 static": .nvfp4(isStatic: true),
    "float4 group16 dynamic": .nvfp4(isStatic: false),
    "int8 tensor static": .tensor(.int8, isStatic: true),
    "int8 tensor dynamic": .tensor(.int8, isStatic: false),
    "int8 token dynamic": .token(.int8),
  ]

  private static func named(_ name: String) -> Self { named[name] ?? .unknown(name) }

  private static func fp8(_ settings: ModuleSettings) throws(MoEError) -> Self {
    guard let kind = try settings.string("activation_scheme") else { return .unquantized }
    guard let (_, width) = try settings.pair("weight_block_size") else { return named("float8 tensor \(kind)") }
    let format = try settings.string("scale_fmt")
    return kind == "dynamic"
      ? .group(width, isPowerOfTwo: format == "ue8m0") : .unknown("float8 group\(width) \(kind)")
  }

  private static func fbgemm(_ settings: ModuleSettings) throws(MoEError) -> Self {
    let key = "activation_scale_ub"
    guard let value = settings[key] else { return .token(.fp8) }
    guard let limit = value.number, limit > 0 else { throw settings.mismatch(key, "a number above 0", value) }
    return .token(.fp8, limit: Float(limit))
  }

  /// `quant_algo` of ModelOpt. An MXFP4 one may quantise activations or not, without saying so.
  private static let algorithms: [String: Self] = [
    "FP8": .tensor(.fp8, isStatic: true),
    "FP8_PER_CHANNEL_PER_TOKEN": .token(.fp8),
    "FP8_PB_WO": .unquantized,
    "NVFP4": .nvfp4(isStatic: true),
    "W4A16_NVFP4": .unquantized,
    "MXFP8": .mxfp8,
  ]

  private static func modelOpt(_ found: ProjectionTensors, _ settings: ModuleSettings) throws(MoEError) -> Self {
    guard let algorithm = try settings.string("quant_algo")?.uppercased() else {
      return try compressedTensors(settings)
    }
    if algorithm == "W4A8_MXFP4_FP8" { return .tensor(.fp8, isStatic: found[".input_scale"] != nil) }
    return algorithms[algorithm] ?? .unknown("quant_algo \(algorithm)")
  }

  private static func compressedTensors(_ settings: ModuleSettings) throws(MoEError) -> Self {
    guard let input = try CompressedTensorsGroup(settings)?.input else { return .unquantized }
    let type = try input.string("type") ?? "int"
    let bits = try input.integer("num_bits") ?? 8
    let isSymmetric = try input.boolean("symmetric") ?? true
    let size = try input.groupSize()
    let strategy = try input.string("strategy") ?? (size == nil ? "tensor" : "group")
    let sharing = ["group", "tensor_group"].contains(strategy) ? "group" + (size.map { "\($0)" } ?? "") : strategy
    let when =
      switch input["dynamic"] {
      case .bool(true)?: "dynamic"
      case .bool(false)?, nil: "static"
      case let other?: other.string ?? other.serialized()
      }
    return named("\(type)\(bits) \(sharing) \(when)" + (isSymmetric ? "" : " asymmetric"))
  }

  private static func quark(_ settings: ModuleSettings) throws(MoEError) -> Self {
    // The module's own settings, else those of all.
    let own = try settings.below("input_tensors")
    let common = try settings.below("global_quant_config")?.below("input_tensors")
    guard let input = own ?? common else { return .unquantized }
    let type = try input.string("dtype") ?? "no dtype"
    guard !["bfloat16", "float16", "float32"].contains(type) else { return .unquantized }
    let codes = ["fp8_e4m3": "float8", "int8": "int8", "fp4": "float4"][type] ?? type
    let size = try input.groupSize()
    let strategy = try input.string("qscheme") ?? "no qscheme"
    // A "channel" of an input is a token.
    let sharing =
      ["per_tensor": "tensor", "per_token": "token", "per_channel": "token"][strategy]
      ?? (strategy == "per_group" ? "group" + (size.map { "\($0)" } ?? "") : strategy)
    let isDynamic = try input.boolean("is_dynamic") ?? false
    return named("\(codes) \(sharing) \(isDynamic ? "dynamic" : "static")")
  }

  private static func autoRound(_ settings: ModuleSettings) throws(MoEError) -> Self {
    guard let bits = try settings.integer("act_bits"), bits < 16 else { return try compressedTensors(settings) }
    let type = try settings.string("act_data_type") ?? "no act_data_type"
    return .unknown("act_bits \(bits), \(type)")
  }
}
