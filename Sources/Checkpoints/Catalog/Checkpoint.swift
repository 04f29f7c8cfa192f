// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Tensors

/// A model on disk: its tensors and its `config.json`.
///
/// ```swift
/// let checkpoint = try Checkpoint(opening: "/models/mixtral")
/// checkpoint.configuration["num_local_experts"]?.integer  // 8
/// ```
public struct Checkpoint: Sendable {
  /// The folder or the file that was opened.
  public let path: String
  /// A name for people: `organisation/model` in the cache of Hugging Face, else that of the folder.
  public let name: String
  public let catalog: TensorCatalog
  /// The whole `config.json`.
  public let configuration: JSONValue
  /// The path of `config.json`, for messages.
  public let configurationPath: String

  /// The limit on the size of a `config.json`.
  public static let configurationSizeLimit = 64 << 20

  /// Opens what `TensorCatalog` opens, and the `config.json` beside it.
  ///
  /// - Throws: All faults of both.
  public init(opening path: String) throws(CheckpointError) {
    self.path = path
    var faults: [Fault] = []
    var catalog: TensorCatalog? = nil
    var configuration: JSONValue? = nil
    do throws(CheckpointError) { catalog = try TensorCatalog(opening: path) } catch { faults += error.faults }
    // Without the path itself there is no place to look for the other file.
    if let status = try? System.status(at: path) {
      let folder = status.kind == .folder ? path : FilePath.folder(of: path)
      do throws(CheckpointError) {
        configuration = try Self.configuration(in: folder)
      } catch {
        faults += error.faults
      }
    }
    guard let catalog, let configuration, faults.isEmpty else { throw CheckpointError(faults) }
    self.catalog = catalog
    self.configuration = configuration
    configurationPath = FilePath.join(
      path.hasSuffix(".safetensors") || path.hasSuffix(".json") ? FilePath.folder(of: path) : path, "config.json")
    name = Self.name(of: path)
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

  /// The JSON object in another file beside `config.json`; nil where there is none.
  ///
  /// - Throws: What is wrong with the file.
  public func companion(_ name: String) throws(CheckpointError) -> JSONValue? {
    let path = FilePath.join(FilePath.folder(of: configurationPath), name)
    guard System.absence(of: path) == nil else { return nil }
    return try JSONValue(
      parsing: try RandomAccessFile.contents(of: path, limit: Self.configurationSizeLimit), file: path,
      nonFiniteNumbers: .accepted)
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
