// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Tensors

extension GGUFCheckpoint {
  /// Opens a model.
  ///
  /// `path` is a GGUF file, any file of a set `NAME-00001-of-0000n.gguf`, or a folder with one of these. The set must be
  /// complete. (`mmproj*.gguf`, which llama.cpp puts beside multimodal models, is no part of it.)
  ///
  /// - Throws: All faults of all files.
  public init(opening path: String) throws(CheckpointError) {
    let status: System.Status
    do throws(SystemError) {
      status = try System.status(at: path)
    } catch {
      throw CheckpointError(RandomAccessFile.unreadable(path, error))
    }
    let first = status.kind == .folder ? try Self.file(in: path) : path
    try self.init(path: path, files: try Self.open(first))
  }

  /// The file of a folder; of a set the first one there is.
  private static func file(in folder: String) throws(CheckpointError) -> String {
    let names: [String]
    do throws(SystemError) {
      names = try System.names(in: folder)
    } catch {
      throw CheckpointError(RandomAccessFile.unreadable(folder, error))
    }
    let all = names.filter { $0.hasSuffix(".gguf") && !$0.hasPrefix(".") && !$0.hasPrefix("mmproj") }
    let sets = Set(all.map { name in GGUFShardName(name).map { "\($0.prefix)-of-\($0.total)" } ?? name })
    guard let first = all.first else {
      throw CheckpointError(Fault(.unreadable, "no GGUF file in this folder", file: folder))
    }
    guard sets.count == 1 else {
      throw CheckpointError(
        Fault(
          .ambiguous, "several GGUF models in this folder", file: folder, found: all.joined(separator: ", "),
          remedy: "give the path of one of them"))
    }
    return FilePath.join(folder, first)
  }

  /// The file, and all others of its set.
  private static func open(_ path: String) throws(CheckpointError) -> [GGUFFile] {
    let first = try GGUFFile(opening: path)
    let name = GGUFShardName(FilePath.lastName(of: path))
    let split = try GGUFSplit(first.header, file: path)
    guard split?.count ?? 1 > 1 || name?.total ?? 1 > 1 else { return [first] }
    try check(split, name, path)
    guard let name else { return [first] }

    var faults = FaultList()
    var files: [GGUFFile] = []
    for number in 1...name.total {
      if number == name.number {
        files.append(first)
        continue
      }
      let other = FilePath.join(FilePath.folder(of: path), name.name(of: number))
      if let error = System.absence(of: other), error.isAbsence {
        faults.append(
          Fault(
            .missingShard, "shard \(number) of \(name.total) is missing", file: other, remedy: "download it too"))
        continue
      }
      do throws(CheckpointError) {
        let file = try GGUFFile(opening: other)
        try check(try GGUFSplit(file.header, file: other), GGUFShardName(FilePath.lastName(of: other)), other)
        files.append(file)
      } catch {
        faults.append(contentsOf: error.faults)
      }
    }
    try faults.check()
    return files
  }

  /// Demands that a file says the same of itself in its name and in its metadata.
  private static func check(_ split: GGUFSplit?, _ name: GGUFShardName?, _ path: String) throws(CheckpointError) {
    if let split, let name, (split.number, split.count) == (name.number, name.total) { return }
    throw CheckpointError(
      Fault(
        .malformedIndex, "the name and the metadata of a part of a model disagree", file: path,
        expected: split.map { "NAME-\(digits($0.number))-of-\(digits($0.count)).gguf, by split.no and split.count" }
          ?? "split.no and split.count in the metadata",
        found: name.map { "part \($0.number) of \($0.total), by its name" } ?? "a name without a number",
        remedy: "give the files of the set their names back"))
  }

  /// Five digits, as llama.cpp writes.
  private static func digits(_ number: Int) -> String {
    let text = String(number)
    return String(repeating: "0", count: max(0, 5 - text.utf8.count)) + text
  }
}
