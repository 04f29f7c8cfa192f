// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Tensors

extension TensorCatalog {
  /// Opens a checkpoint.
  ///
  /// `path` is a safetensors file, an index, or a folder. In a folder, the first of these is taken:
  /// `model.safetensors.index.json` (or the only `*.safetensors.index.json`), `model.safetensors`, a complete set
  /// `model-00001-of-0000n.safetensors` …, the only `*.safetensors`.
  ///
  /// - Throws: All faults of all files. Pickles are refused (`.pickle`), GGUF is not read (`.unsupported`).
  public init(opening path: String) throws(CheckpointError) {
    let status: System.Status
    do throws(SystemError) {
      status = try System.status(at: path)
    } catch {
      var fault = RandomAccessFile.unreadable(path, error)
      // `organisation/model`, as on the hub.
      if error.isAbsence, path.split(separator: "/", omittingEmptySubsequences: false).count == 2, path.first != "." {
        fault.remedy = "to fetch a model of this name first: hf download \(path) --local-dir FOLDER"
      }
      throw CheckpointError(fault)
    }
    if status.kind == .folder {
      try self.init(folder: path)
    } else if path.hasSuffix(".safetensors.index.json") {
      try self.init(index: path, as: path, otherFiles: [])
    } else if !path.hasSuffix(".safetensors"), let signature = FileSignature(name: path) {
      throw CheckpointError(signature.fault(file: path))
    } else {
      try self.init(path: path, files: [path], index: nil, warnings: [])
    }
  }

  private init(folder: String) throws(CheckpointError) {
    let names: [String]
    do throws(SystemError) {
      names = try System.names(in: folder)
    } catch {
      throw CheckpointError(RandomAccessFile.unreadable(folder, error))
    }
    // Half-written files of ours, and the hidden copies that some systems make.
    let candidates = names.filter { $0.hasSuffix(".safetensors") && !$0.hasPrefix(".") }
    let indices = names.filter { $0.hasSuffix(".safetensors.index.json") && !$0.hasPrefix(".") }
    if let index = indices.contains("model.safetensors.index.json")
      ? "model.safetensors.index.json" : indices.count == 1 ? indices[0] : nil
    {
      try self.init(index: FilePath.join(folder, index), as: folder, otherFiles: candidates)
      return
    }
    let chosen: [String]
    if candidates.contains("model.safetensors") {
      chosen = ["model.safetensors"]
    } else if let set = try Self.completeSet(among: candidates, in: folder) {
      chosen = set
    } else if candidates.count == 1 {
      chosen = candidates
    } else {
      throw CheckpointError(Self.refusal(of: folder, names: names, candidates: candidates))
    }
    try self.init(
      path: folder, files: chosen.map { FilePath.join(folder, $0) }, index: nil,
      warnings: Self.warnings(ofUnused: candidates.filter { !chosen.contains($0) }))
  }

  private init(index path: String, as name: String, otherFiles: [String]) throws(CheckpointError) {
    let index = try ShardIndex(
      parsing: try RandomAccessFile.contents(of: path, limit: ShardIndex.sizeLimit), file: path)
    let folder = FilePath.folder(of: path)
    let named = Set(index.files)
    try self.init(
      path: name, files: index.files.map { FilePath.join(folder, $0) }, index: (index, path),
      warnings: Self.warnings(ofUnused: otherFiles.filter { !named.contains($0) }))
  }

  /// The files of a set `model-0000k-of-0000n`, or of another prefix when there is no other file; nil for no set.
  private static func completeSet(among names: [String], in folder: String) throws(CheckpointError) -> [String]? {
    let shards = names.compactMap { name in ShardName(name).map { (name: name, shard: $0) } }
    let models = shards.filter { $0.shard.prefix == "model" }
    let set = models.isEmpty && shards.count == names.count ? shards : models
    guard let first = set.first?.shard else { return nil }
    guard set.allSatisfy({ ($0.shard.prefix, $0.shard.total) == (first.prefix, first.total) }) else {
      return nil  // Files of several sets: ambiguous.
    }
    let faults = ShardName.missing(of: set.map(\.shard)).map { number in
      Fault(
        .missingShard, "shard \(number) of \(first.total) is missing",
        file: FilePath.join(folder, first.name(of: number)),
        remedy: "the folder has \(set.count) of \(first.total); download the others")
    }
    if !faults.isEmpty { throw CheckpointError(faults) }
    return set.map(\.name)
  }

  /// Why nothing in a folder can be opened.
  private static func refusal(of folder: String, names: [String], candidates: [String]) -> Fault {
    if candidates.count > 1 {
      return Fault(
        .ambiguous, "several safetensors files and none named model", file: folder,
        found: candidates.joined(separator: ", "),
        remedy: "give the path of one of them, or add model.safetensors.index.json")
    }
    for kind in [FileSignature.pickle, .gguf] {
      if let name = names.first(where: { FileSignature(name: $0) == kind }) {
        return kind.fault(file: FilePath.join(folder, name))
      }
    }
    return Fault(
      .unreadable, "no checkpoint in this folder", file: folder, expected: "model.safetensors or an index of shards",
      found: names.isEmpty
        ? "an empty folder" : names.prefix(8).joined(separator: ", ") + (names.count > 8 ? ", …" : ""))
  }

  private static func warnings(ofUnused names: [String]) -> [String] {
    names.isEmpty ? [] : ["not part of the checkpoint, and ignored: \(names.joined(separator: ", "))"]
  }
}
