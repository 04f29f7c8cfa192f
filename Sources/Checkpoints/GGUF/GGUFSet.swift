// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Tensors

/// The files of a model in GGUF: one, or a set `NAME-00001-of-0000n.gguf`.
enum GGUFSet {
  /// The names in a folder that can be a model's, a set by its first name. What llama.cpp puts beside models is none.
  static func models(among names: [String]) -> [String] {
    var sets: Set<String> = []
    return names.filter { name in
      guard name.hasSuffix(".gguf"), !name.hasPrefix("."), !companions.contains(where: name.hasPrefix) else {
        return false
      }
      return sets.insert(GGUFShardName(name).map { "\($0.prefix)-of-\($0.total)" } ?? name).inserted
    }
  }

  /// What the names of other files begin with: projectors of multimodal models, importance matrices, vocabularies.
  private static let companions = ["mmproj", "imatrix", "ggml-vocab"]

  /// Opens a file and all others of its set, in the order of their numbers.
  ///
  /// - Throws: All faults of all files; `.missingShard` for each that is absent.
  static func open(_ path: String) throws(CheckpointError) -> [GGUFFile] {
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
