// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Checkpoints
internal import Tensors

/// What ModelOpt (`quant_method` `modelopt`, `hf_quant_config.json`) has that is no format here.
enum ModelOpt {
  /// The algorithms whose tensors this package reads, by the formats of their tensors.
  static let algorithms = [
    "FP8", "FP8_PER_CHANNEL_PER_TOKEN", "FP8_PB_WO", "NVFP4", "W4A16_NVFP4", "MXFP8", "MXFP4", "W4A8_MXFP4_FP8",
    "MIXED_PRECISION",
  ]

  /// Why a module is not read: its algorithm has a code that only an external kernel knows.
  static func refusal(_ settings: ModuleSettings) -> MoEError? {
    guard settings.method == "modelopt", let algorithm = settings["quant_algo"]?.string,
      !algorithms.contains(algorithm.uppercased())
    else { return nil }
    return MoEError(
      .unsupported, "ModelOpt's \(algorithm) is not read: its code is defined by an external kernel",
      file: settings.file, subject: settings.module, expected: algorithms.joined(separator: ", "), found: algorithm,
      remedy: "export the model in one of these, or register a QuantizationScheme")
  }
}
