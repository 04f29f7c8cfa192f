// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Tensors

/// The settings of a model from the metadata of a GGUF file, under the names that they have in a `config.json`.
///
/// ``GGUFSetting`` has the names. What they mean for an architecture, and what holds where a key is absent, is not
/// decided here.
struct GGUFConfiguration {
  /// An object; `model_type` is the architecture, e.g. `qwen3moe`.
  let value: JSONValue
  /// The key in the metadata of each key in `value`.
  let keys: [String: String]
  /// What the file says of experts, and nothing here reads.
  let warnings: [String]

  /// What the names of keys begin with that say how experts compute.
  private static let marks = ["expert", "moe_", "router_", "swiglu_"]

  /// - Throws: `.metadata` for a file without an architecture, which nothing can be understood without.
  init(_ metadata: [String: JSONValue], file: String) throws(CheckpointError) {
    guard let architecture = metadata["general.architecture"]?.string, !architecture.isEmpty else {
      throw CheckpointError(
        Fault(
          .metadata, "the file does not say its architecture", file: file, subject: "general.architecture",
          expected: "a name such as qwen3moe", found: metadata["general.architecture"]?.serialized() ?? "nothing",
          remedy: "convert it again with llama.cpp's convert_hf_to_gguf.py"))
    }
    var object: [String: JSONValue] = ["model_type": .string(architecture)]
    var keys = ["model_type": "general.architecture"]
    for setting in GGUFSetting.all {
      let key = "\(architecture).\(setting.key)"
      keys[setting.name] = key
      if let value = metadata[key].map(setting.decode), !value.isNull { object[setting.name] = value }
    }
    // Draft layers stand after the others, and are counted with them.
    if let blocks = object["num_hidden_layers"]?.integer,
      let drafts = metadata["\(architecture).nextn_predict_layers"]?.integer, drafts > 0, drafts < blocks
    {
      object["num_hidden_layers"] = .integer(blocks - drafts)
    }
    value = .object(object)
    self.keys = keys
    let known = Set(keys.values)
    warnings = metadata.keys.sorted().filter { key in
      !known.contains(key) && Self.marks.contains { key.hasPrefix("\(architecture).\($0)") }
    }.map { "\(file): \($0) is not understood, and ignored" }
  }
}
