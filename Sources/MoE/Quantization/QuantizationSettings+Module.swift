// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Checkpoints
internal import Tensors

extension QuantizationSettings {
  /// What holds for one module: the settings, with those on top that name it.
  ///
  /// They stand in `dynamic` (GPTQ: `+:` and `-:` before a regular expression), `extra_config` (AutoRound),
  /// `quantized_layers` (ModelOpt), `layer_quant_config` (Quark) and, with another meaning, in `config_groups`
  /// (compressed-tensors), which stays as it is.
  ///
  /// - Throws: `.configuration` for patterns and values of the wrong kind.
  public func module(_ name: String) throws(MoEError) -> ModuleSettings {
    var merged = values
    for key in ["dynamic", "extra_config", "quantized_layers", "layer_quant_config"] {
      guard let entries = values[key], !entries.isNull else { continue }
      guard let entries = entries.object else {
        throw MoEError(
          .configuration, "wrong type", file: file, subject: key, expected: "an object", found: entries.kind)
      }
      for (entry, value) in entries.sorted(by: { $0.key < $1.key }) {
        guard try names(entry, name, in: key) else { continue }
        for (key, value) in value.object ?? [:] { merged[key] = value }
      }
    }
    return ModuleSettings(method: method, values: merged, file: file, module: name)
  }

  private func names(_ entry: String, _ module: String, in key: String) throws(MoEError) -> Bool {
    if entry.hasPrefix("-:") { return false }  // "Not quantised": the tensors say so themselves.
    let expression = entry.hasPrefix("+:") ? String(entry.dropFirst(2)) : entry
    // AutoRound mixes names and expressions without a mark.
    let isExpression = key == "dynamic" || key == "extra_config" && expression.contains { #"*+?[]()|\^$"#.contains($0) }
    let hasMark = expression.hasPrefix("re:")
    return try ModulePattern(isExpression && !hasMark ? "re:" + expression : expression, file: file).matches(module)
  }
}
