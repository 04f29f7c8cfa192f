// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Tensors

/// A model on disk: its tensors and its settings.
///
/// ```swift
/// let checkpoint = try Checkpoint(opening: "/models/mixtral")
/// checkpoint.configuration["num_local_experts"]?.integer  // 8
/// let quantised = try Checkpoint(opening: "qwen3-30b-a3b-Q4_K_M.gguf")
/// quantised.configuration["num_experts"]?.integer         // 128, from qwen3moe.expert_count
/// ```
public struct Checkpoint: Sendable {
  /// The folder or the file that was opened.
  public let path: String
  /// A name for people: `organisation/model` in the cache of Hugging Face, else that of the folder.
  public let name: String
  public let catalog: TensorCatalog
  /// The whole `config.json`, or the metadata of a GGUF file under the names that a `config.json` has for them.
  public let configuration: JSONValue
  /// The path of `config.json` or of the GGUF file, for messages.
  public let configurationPath: String
  /// For messages: what the keys of `configuration` are called in the file, where that is another name.
  public let configurationKeys: [String: String]

  /// What is strange, but no reason to refuse, as sentences without a full stop: of the tensors and of the settings.
  public let warnings: [String]

  init(
    _ path: String, _ catalog: TensorCatalog, _ configuration: JSONValue, file: String, keys: [String: String],
    warnings: [String]
  ) {
    self.path = path
    name = Self.name(of: path)
    self.catalog = catalog
    self.configuration = configuration
    configurationPath = file
    configurationKeys = keys
    self.warnings = warnings
  }

  /// The limit on the size of a `config.json`.
  public static let configurationSizeLimit = 64 << 20

  /// Opens what `TensorCatalog` opens, and of safetensors the `config.json` beside it.
  ///
  /// - Throws: All faults of both; `.metadata` for a GGUF file that does not say its architecture.
  public init(opening path: String) throws(CheckpointError) {
    var faults: [Fault] = []
    var source: CheckpointSource? = nil
    var catalog: TensorCatalog? = nil
    var configuration: JSONValue? = nil
    do throws(CheckpointError) {
      let found = try CheckpointSource(path)
      source = found
      catalog = try TensorCatalog(found, path: path)
    } catch {
      faults += error.faults
    }
    if let catalog, let metadata = catalog.ggufMetadata {
      let file = catalog.files[0].path
      let settings = try GGUFConfiguration(metadata, file: file)
      self.init(
        path, catalog, settings.value, file: file, keys: settings.keys, warnings: catalog.warnings + settings.warnings)
      return
    }
    // Without the path itself there is no place to look for the other file; a GGUF file needs none, and that may be what
    // is meant where several could be the checkpoint.
    let needsFile = source?.isGGUF != true && !faults.contains { $0.code == .ambiguous }
    if needsFile, let status = try? System.status(at: path) {
      let folder = status.kind == .folder ? path : FilePath.folder(of: path)
      do throws(CheckpointError) {
        configuration = try Self.configuration(in: folder)
      } catch {
        faults += error.faults
      }
    }
    guard let catalog, let configuration, faults.isEmpty else { throw CheckpointError(faults) }
    let isFile = path.hasSuffix(".safetensors") || path.hasSuffix(".json")
    self.init(
      path, catalog, configuration, file: FilePath.join(isFile ? FilePath.folder(of: path) : path, "config.json"),
      keys: [:], warnings: catalog.warnings)
  }

  /// Reads the `config.json` of a folder.
  ///
  /// `NaN` and `Infinity` are accepted, because `transformers` writes them (e.g. in `time_step_limit`).
  ///
  /// - Throws: `.unreadable`, or what is wrong with the file.
  public static func configuration(in folder: String) throws(CheckpointError) -> JSONValue {
    let path = FilePath.join(folder, "config.json")
    if let error = System.absence(of: path) {
      throw CheckpointError(
        Fault(
          .unreadable, "no config.json (\(error.reason))", file: path,
          remedy: "download it from where the weights came from; it says how many experts there are and how they route")
      )
    }
    let value = try JSONValue(
      parsing: try RandomAccessFile.contents(of: path, limit: configurationSizeLimit), file: path,
      nonFiniteNumbers: .accepted)
    guard value.object != nil else {
      throw CheckpointError(
        Fault(
          .malformedJSON, "the configuration is not an object", file: path, expected: "an object", found: value.kind))
    }
    return value
  }

  /// The JSON object in another file beside `config.json`; nil where there is none. A GGUF file has no companions, nor has
  /// a model that was declared.
  ///
  /// - Throws: What is wrong with the file.
  public func companion(_ name: String) throws(CheckpointError) -> JSONValue? {
    guard let path = companionPath(name) else { return nil }
    return try JSONValue(
      parsing: try RandomAccessFile.contents(of: path, limit: Self.configurationSizeLimit), file: path,
      nonFiniteNumbers: .accepted)
  }

  /// The path of another file beside `config.json`, where there is one.
  package func companionPath(_ name: String) -> String? {
    guard catalog.ggufMetadata == nil, !catalog.files.isEmpty else { return nil }
    let path = FilePath.join(FilePath.folder(of: configurationPath), name)
    return System.absence(of: path) == nil ? path : nil
  }

  private static func name(of path: String) -> String {
    let parts = (System.resolved(path) ?? path).split(separator: "/").map(String.init)
    // …/models--organisation--model/snapshots/<revision>
    if let snapshots = parts.lastIndex(of: "snapshots"), snapshots > 0, parts[snapshots - 1].hasPrefix("models--") {
      let words = parts[snapshots - 1].dropFirst("models--".count).split(
        separator: "-", omittingEmptySubsequences: false)
      return words.joined(separator: "-").replacing("--", with: "/", maxReplacements: 1)
    }
    return parts.last ?? path
  }
}
