// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Tensors

extension TensorCatalog {
  /// Opens a checkpoint.
  ///
  /// `path` is a safetensors file, an index, a GGUF file, any file of a set `NAME-00001-of-0000n.gguf`, or a folder. In a
  /// folder, the first of these is taken: `model.safetensors.index.json` (or the only `*.safetensors.index.json`),
  /// `model.safetensors`, a complete set `model-00001-of-0000n.safetensors` …, the only GGUF file or set, the only
  /// `*.safetensors`. Safetensors and GGUF together are ambiguous, unless a `config.json` shows that the first three are
  /// meant, or nothing is named like a model but the GGUF file.
  ///
  /// - Throws: All faults of all files. Pickles are refused (`.pickle`).
  public init(opening path: String) throws(CheckpointError) {
    try self.init(try CheckpointSource(path), path: path)
  }

  init(_ source: CheckpointSource, path: String) throws(CheckpointError) {
    switch source {
    case .gguf(let file, let unused):
      try self.init(gguf: file, path: path, warnings: Self.warnings(ofUnused: unused))
    case .safetensors(let files, let unused):
      try self.init(path: path, files: files, index: nil, warnings: Self.warnings(ofUnused: unused))
    case .index(let file, let others):
      let index = try ShardIndex(
        parsing: try RandomAccessFile.contents(of: file, limit: ShardIndex.sizeLimit), file: file)
      let folder = FilePath.folder(of: file)
      let named = Set(index.files)
      try self.init(
        path: path, files: index.files.map { FilePath.join(folder, $0) }, index: (index, file),
        warnings: Self.warnings(ofUnused: others.filter { !named.contains($0) }))
    }
  }

  private static func warnings(ofUnused names: [String]) -> [String] {
    names.isEmpty ? [] : ["not part of the checkpoint, and ignored: \(names.joined(separator: ", "))"]
  }
}
