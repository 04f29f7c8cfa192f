// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import Checkpoints
internal import Tensors

/// The settings of a `config.json`, read by every spelling that a quantity has.
///
/// Multimodal wrappers nest the text model's settings; those are looked at first. A key with a dot names a nested
/// object's member (`ffn_config.moe_top_k`).
///
/// ```swift
/// let configuration = ModelConfiguration(checkpoint.configuration, file: "config.json")
/// try configuration.integer(.expertCount)   // num_experts, num_local_experts, n_routed_experts, …
/// ```
public struct ModelConfiguration: Sendable {
  /// A quantity and the keys that spell it.
  public struct Quantity: Sendable, Hashable {
    public var name: String
    public var keys: [String]
    /// Whether the keys all mean the same, so that two that differ are a fault; otherwise the first one counts.
    public var isOneNumber: Bool

    public init(_ name: String, _ keys: [String], isOneNumber: Bool = false) {
      self.name = name
      self.keys = keys
      self.isOneNumber = isOneNumber
    }
  }

  private var scopes: [[String: JSONValue]]
  public let file: String
  /// What keys are called in the file, where that is another name: the metadata of a GGUF file.
  public let fileKeys: [String: String]

  /// - Parameter keys: What keys are called in the file, where that is another name; see `Checkpoint.configurationKeys`.
  public init(_ root: JSONValue, file: String, keys: [String: String] = [:]) {
    self.file = file
    fileKeys = keys
    var scopes: [[String: JSONValue]] = []
    if case .object(let object) = root {
      for key in ["text_config", "llm_config", "language_config"] {
        if case .object(let nested)? = object[key] { scopes.append(nested) }
      }
      scopes.append(object)
    }
    self.scopes = scopes
  }

  /// With the first of a pair, which is that of text, where a setting has one for text and one for images.
  func ofText() -> Self {
    let keys = ["moe_num_experts", "moe_intermediate_size", "moe_layer_start_index", "moe_layer_end_index"]
    var result = self
    for index in result.scopes.indices {
      for key in keys {
        if let pair = result.scopes[index][key]?.array, pair.count == 2 { result.scopes[index][key] = pair[0] }
      }
    }
    return result
  }

  /// A key as the file has it, for messages.
  func shown(_ key: String) -> String { fileKeys[key] ?? key }

  /// The first value that is present and not null, with its key.
  func value(_ keys: [String]) -> (key: String, value: JSONValue)? { values(keys).first }

  /// All spellings that are present and not null, of the first scope that has any.
  private func values(_ keys: [String]) -> [(key: String, value: JSONValue)] {
    for scope in scopes {
      let found = keys.compactMap { key in Self.member(key, of: scope).map { (key: key, value: $0) } }
        .filter { !$0.value.isNull }
      if !found.isEmpty { return found }
    }
    return []
  }

  private static func member(_ key: String, of scope: [String: JSONValue]) -> JSONValue? {
    guard let dot = key.firstIndex(of: ".") else { return scope[key] }
    guard case .object(let nested)? = scope[String(key[..<dot])] else { return nil }
    return member(String(key[key.index(after: dot)...]), of: nested)
  }
}

extension ModelConfiguration {
  /// The keys that say something of the model, but for some.
  func keys(besides known: Set<String>) -> [String] {
    let spelt = [Quantity.expertCount, .topK, .hiddenSize, .intermediateSize, .layerCount].flatMap(\.keys)
    let skipped = known.union(spelt).union(Self.idleKeys)
    let keys = scopes.flatMap { scope in scope.filter { !$0.value.isNull && !skipped.contains($0.key) }.keys }
    let rope = value(["rope_parameters"])?.value.object ?? [:]
    let isPlainRope =
      Set(rope.keys).isSubset(of: ["rope_theta", "rope_type"]) && rope["rope_type"] ?? "default" == "default"
    return Set(keys).sorted().filter { $0 != "rope_parameters" || !isPlainRope }
  }

  /// Keys that say how a model is stored, trained or generated with, not what it computes.
  private static let idleKeys: Set<String> = [
    "architectures", "model_type", "torch_dtype", "dtype", "transformers_version", "quantization_config",
    "compression_config", "expert_dtype", "auto_map", "use_cache", "initializer_range", "attention_dropout",
    "router_aux_loss_coef", "aux_loss_alpha", "output_router_logits", "tie_word_embeddings", "bos_token_id",
    "eos_token_id", "pad_token_id", "_name_or_path", "pretraining_tp", "text_config", "router_jitter_noise",
  ]
}

// MARK: - Typed access

extension ModelConfiguration {
  /// An integer, or the element for `layer` where the value is a list with one for each layer.
  public func integer(_ keys: String..., layer: Int? = nil) throws(MoEError) -> Int? {
    try integer(keys, layer: layer)
  }

  public func integer(_ keys: [String], layer: Int? = nil) throws(MoEError) -> Int? {
    guard let (key, value) = value(keys) else { return nil }
    guard let integer = Self.integer(value, layer: layer) else {
      throw mismatch(
        key, value, expected: layer == nil ? "an integer" : "an integer, or a list with one for each layer")
    }
    return integer
  }

  /// The integer in a value, where that is one.
  private static func integer(_ value: JSONValue, layer: Int?) -> Int? {
    switch (value, layer) {
    case (.integer(let integer), _): integer
    case (.number(let number), _) where number == number.rounded() && abs(number) < 0x1p53: Int(number)
    case (.array(let list), let layer?) where list.indices.contains(layer): integer(list[layer], layer: nil)
    default: nil
    }
  }

  /// An integer that must be there and positive, the same under every one of its spellings.
  public func required(_ quantity: Quantity, layer: Int? = nil) throws(MoEError) -> Int {
    let spellings = values(quantity.keys)
    guard let value = try size(quantity.keys, layer: layer) else {
      let keys = fileKeys.isEmpty ? quantity.keys : quantity.keys.compactMap { fileKeys[$0] }
      throw MoEError(
        .configuration, "\(quantity.name) is not given", file: file,
        expected: (keys.count > 1 ? "one of " : "") + keys.joined(separator: ", "))
    }
    let numbers = Set(spellings.map { Self.integer($0.value, layer: layer) })
    guard numbers.count == 1 || !quantity.isOneNumber else {
      throw MoEError(
        .configuration, "\(quantity.name) is given twice, and differently", file: file,
        subject: spellings.map { shown($0.key) }.joined(separator: " and "),
        found: spellings.map { $0.value.serialized() }.joined(separator: " and "),
        remedy: "remove the wrong one")
    }
    guard value > 0 else {
      throw MoEError(
        .configuration, "\(quantity.name) is out of range", file: file, subject: shown(spellings[0].key),
        expected: "1...\(Self.largestSize)", found: "0")
    }
    return value
  }

  /// An integer in 0...``largestSize``, so that the product of two of them can be counted.
  func size(_ keys: String..., layer: Int? = nil) throws(MoEError) -> Int? { try size(keys, layer: layer) }

  func size(_ keys: [String], layer: Int? = nil) throws(MoEError) -> Int? {
    guard let value = try integer(keys, layer: layer) else { return nil }
    guard (0...Self.largestSize).contains(value) else {
      throw MoEError(
        .configuration, "a size or number is out of range", file: file, subject: self.value(keys)?.key,
        expected: "at most \(Self.largestSize), and not negative", found: "\(value)")
    }
    return value
  }

  public func number(_ keys: String..., layer: Int? = nil) throws(MoEError) -> Float? {
    guard let (key, value) = value(keys) else { return nil }
    var element = value
    if case .array(let list) = value, let layer, list.indices.contains(layer) { element = list[layer] }
    if element.isNull { return nil }
    guard let number = element.number.map({ Float($0) }), number.isFinite else {
      throw mismatch(key, value, expected: "a finite number")
    }
    return number
  }

  public func boolean(_ keys: String...) throws(MoEError) -> Bool? {
    guard let (key, value) = value(keys) else { return nil }
    guard case .bool(let boolean) = value else { throw mismatch(key, value, expected: "true or false") }
    return boolean
  }

  public func string(_ keys: String...) throws(MoEError) -> String? {
    guard let (key, value) = value(keys) else { return nil }
    guard case .string(let string) = value else { throw mismatch(key, value, expected: "a string") }
    return string
  }

  public func strings(_ keys: String...) throws(MoEError) -> [String]? {
    guard let (key, value) = value(keys) else { return nil }
    guard case .array(let list) = value else { throw mismatch(key, value, expected: "a list of strings") }
    var strings: [String] = []
    for element in list {
      guard case .string(let string) = element else { throw mismatch(key, value, expected: "a list of strings") }
      strings.append(string)
    }
    return strings
  }

  /// Every value of the strings `key` in all scopes: `architectures` of a wrapper and of its text model.
  func everyString(_ key: String) -> [String] {
    scopes.flatMap { scope -> [String] in
      switch scope[key] {
      case .string(let string): [string]
      case .array(let list): list.compactMap { if case .string(let string) = $0 { string } else { nil } }
      default: []
      }
    }
  }

  /// Sizes above this are no model's; the bound keeps every product of two of them inside `Int`.
  static let largestSize = LayerSpecification.largestSize

  func mismatch(_ key: String, _ value: JSONValue, expected: String) -> MoEError {
    MoEError(
      .configuration, "wrong type", file: file, subject: shown(key), expected: expected, found: value.serialized())
  }
}

extension ModelConfiguration.Quantity {
  public static let expertCount = Self(
    "the number of experts",
    ["num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts", "ffn_config.moe_num_experts"],
    isOneNumber: true)
  public static let topK = Self(
    "the number of experts per token",
    [
      "num_experts_per_tok", "num_experts_per_token", "moe_topk", "moe_k", "moe_top_k", "top_k_experts",
      "experts_per_token", "ffn_config.moe_top_k",
    ], isOneNumber: true)
  public static let hiddenSize = Self("the hidden size", ["hidden_size", "d_model"])
  public static let intermediateSize = Self(
    "the intermediate size of an expert",
    [
      "moe_intermediate_size", "expert_ffn_hidden_size", "expert_hidden_dim", "intermediate_size",
      "ffn_config.ffn_hidden_size",
    ])
  public static let layerCount = Self("the number of layers", ["num_hidden_layers", "n_layers", "num_layers"])
}
