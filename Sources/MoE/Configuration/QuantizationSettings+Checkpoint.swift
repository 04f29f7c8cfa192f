// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import Checkpoints

extension QuantizationSettings {
  /// What a checkpoint says about its quantisation, in `config.json` and in ModelOpt's `hf_quant_config.json`.
  ///
  /// - Throws: what is wrong with either.
  public init(_ checkpoint: Checkpoint) throws(MoEError) {
    let modelOpt: JSONValue?
    do throws(CheckpointError) {
      modelOpt = try checkpoint.companion("hf_quant_config.json")
    } catch {
      throw MoEError(error.faults)
    }
    try self.init(checkpoint.configuration, file: checkpoint.configurationPath, modelOpt: modelOpt)
  }
}
