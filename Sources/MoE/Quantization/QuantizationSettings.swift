// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import Checkpoints
internal import Tensors

/// What a checkpoint says about its quantisation: `quantization_config` or `compression_config` of `config.json`, and
/// `hf_quant_config.json`.
///
/// ```swift
/// let settings = try QuantizationSettings(configuration, file: "config.json")
/// settings.method                                                     // "gptq"
/// let module = try settings.module("model.layers.0.mlp.experts.0.up_proj")
/// try module.integer("bits")                                          // 4
/// ```
public struct QuantizationSettings: Sendable {
  /// `quant_method` in lower case; nil where the checkpoint names none.
  public let method: String?
  /// Everything that is said.
  public let values: [String: JSONValue]
  /// Modules that are said not to be quantised. The tensors decide, not this list.
  public let ignored: [ModulePattern]
  public let file: String

  /// - Parameters:
  ///   - configuration: `config.json`.
  ///   - file: the name of `config.json` for messages.
  ///   - modelOpt: `hf_quant_config.json`, where there is one.
  /// - Throws: `.configuration`, with all that has the wrong type.
  public init(_ configuration: JSONValue, file: String, modelOpt: JSONValue? = nil) throws(MoEError) {
    var values: [String: JSONValue] = [:]
    for key in ["quantization_config", "compression_config"] {
      for scope in Self.scopes(of: configuration) {
        guard let value = scope[key], !value.isNull, values.isEmpty else { continue }
        guard let object = value.object else {
          throw MoEError(
            .configuration, "wrong type", file: file, subject: key, expected: "an object", found: value.kind)
        }
        values = object
      }
    }
    if let modelOpt { try Self.merge(modelOpt, into: &values) }
    for scope in Self.scopes(of: configuration) where values["expert_dtype"] == nil {
      if let type = scope["expert_dtype"], !type.isNull { values["expert_dtype"] = type }
    }
    let settings = ModuleSettings(method: nil, values: values, file: file)
    method = try settings.string("quant_method")?.lowercased()
    var ignored: [ModulePattern] = []
    for key in Self.ignoreKeys {
      for text in try settings.strings(key) ?? [] { ignored.append(try ModulePattern(text, file: file)) }
    }
    self.values = values
    self.ignored = ignored
    self.file = file
  }

  /// Names of ignore lists, of one format each.
  static let ignoreKeys = [
    "ignore", "modules_to_not_convert", "ignored_layers", "exclude_modules", "llm_int8_skip_modules", "exclude",
  ]

  private static func scopes(of configuration: JSONValue) -> [[String: JSONValue]] {
    ([configuration] + ["text_config", "llm_config", "language_config"].compactMap { configuration[$0] })
      .compactMap(\.object)
  }

  /// ModelOpt's own file: its `quantization`, under what `config.json` says.
  private static func merge(_ modelOpt: JSONValue, into values: inout [String: JSONValue]) throws(MoEError) {
    guard let quantization = modelOpt["quantization"], let object = quantization.object else {
      throw MoEError(
        .configuration, "wrong type", file: "hf_quant_config.json", subject: "quantization", expected: "an object",
        found: modelOpt["quantization"]?.kind ?? "nothing")
    }
    for (key, value) in object where values[key] == nil { values[key] = value }
    if values["quant_method"] == nil { values["quant_method"] = "modelopt" }
  }

  /// Whether a module is said not to be quantised.
  public func ignores(_ module: String) -> Bool { ignored.contains { $0.matches(module) } }

  /// The entries of the ignore list that match none of `modules`: for a note.
  public func unmatched(_ modules: [String]) -> [ModulePattern] {
    ignored.filter { entry in !modules.contains { entry.matches($0) } }
  }
}
