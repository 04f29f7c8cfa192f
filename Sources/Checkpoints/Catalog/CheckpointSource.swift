// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Tensors

/// The files that a path stands for.
enum CheckpointSource {
  /// An index of shards, and the names of safetensors files beside it.
  case index(String, others: [String])
  case safetensors([String], unused: [String])
  /// A GGUF file, of a set any.
  case gguf(String, unused: [String])

  var isGGUF: Bool { if case .gguf = self { true } else { false } }

  /// See `TensorCatalog.init(opening:)`.
  init(_ path: String) throws(CheckpointError) {
    let status: System.Status
    do throws(SystemError) {
      status = try System.status(at: path)
    } catch {
      var fault = RandomAccessFile.unreadable(path, error)
      // `organisation/model`, as on the hub.
      if error.isAbsence, path.split(separator: "/", omittingEmptySubsequences: false).count == 2,
        path.first != ".", path.first != "/"
      {
        fault.remedy = "to fetch a model of this name first: hf download \(path) --local-dir FOLDER"
      }
      throw CheckpointError(fault)
    }
    if status.kind == .folder {
      try self.init(folder: path)
    } else if path.hasSuffix(".safetensors.index.json") {
      self = .index(path, others: [])
    } else if path.hasSuffix(".safetensors") {
      self = .safetensors([path], unused: [])
    } else if try Self.isGGUF(path) {
      self = .gguf(path, unused: [])
    } else if let signature = FileSignature(name: path) {
      throw CheckpointError(signature.fault(file: path))
    } else {
      self = .safetensors([path], unused: [])
    }
  }

  /// By its name or, because some programs name files by their digests, by its first bytes.
  private static func isGGUF(_ path: String) throws(CheckpointError) -> Bool {
    if FileSignature(name: path) == .gguf { return true }
    let file = try RandomAccessFile(opening: path)
    return FileSignature(start: try file.bytes(in: 0..<min(4, file.size))[...]) == .gguf
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
    let index =
      indices.contains("model.safetensors.index.json")
      ? "model.safetensors.index.json" : indices.count == 1 ? indices[0] : nil
    let models = GGUFSet.models(among: names)
    let hasModel = candidates.contains { $0 == "model.safetensors" || ShardName($0)?.prefix == "model" }
    let hasConfiguration = names.contains("config.json")
    if models.isEmpty || hasConfiguration && (index != nil || hasModel) {
      if let index {
        self = .index(FilePath.join(folder, index), others: candidates + models)
      } else {
        try self.init(folder: folder, names: names, candidates: candidates, ignoring: models)
      }
    } else if candidates.isEmpty || !hasConfiguration && !hasModel && index == nil {
      guard models.count == 1 else {
        throw CheckpointError(
          Fault(
            .ambiguous, "several GGUF models in this folder", file: folder, found: models.joined(separator: ", "),
            remedy: "give the path of one of them"))
      }
      self = .gguf(FilePath.join(folder, models[0]), unused: candidates)
    } else {
      throw CheckpointError(
        Fault(
          .ambiguous, "a model in safetensors and another in GGUF in this folder", file: folder,
          found: ((index.map { [$0] } ?? candidates) + models).joined(separator: ", "),
          remedy: "give the path of one of them"))
    }
  }

  private init(folder: String, names: [String], candidates: [String], ignoring others: [String]) throws(CheckpointError)
  {
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
    self = .safetensors(
      chosen.map { FilePath.join(folder, $0) }, unused: (candidates + others).filter { !chosen.contains($0) })
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
    if let name = names.first(where: { FileSignature(name: $0) == .pickle }) {
      return FileSignature.pickle.fault(file: FilePath.join(folder, name))
    }
    return Fault(
      .unreadable, "no checkpoint in this folder", file: folder,
      expected: "model.safetensors, an index of shards or a GGUF file",
      found: names.isEmpty
        ? "an empty folder" : names.prefix(8).joined(separator: ", ") + (names.count > 8 ? ", …" : ""))
  }
}
