// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Tensors

extension TensorCatalog {
  /// Opens a GGUF file and the others of its set.
  ///
  /// - Parameter path: What was asked for: the file, or its folder.
  init(gguf file: String, path: String, warnings: [String]) throws(CheckpointError) {
    let files = try GGUFSet.open(file)
    let metadata = files[0].header.metadata
    var faults = FaultList()
    let records = Self.merged(files.map(\.header.tensors), of: files.map(\.file.path), &faults)
    for file in files.dropFirst() {
      // Shards have few keys, or copies of the first one's.
      for (key, value) in file.header.metadata.sorted(by: { $0.key < $1.key })
      where key != "split.no" && metadata[key].map({ $0 != value }) ?? false {
        faults.append(
          Fault(
            .malformedIndex, "the metadata differ from those of the first file", file: file.file.path, subject: key))
      }
    }
    for file in files {
      if let count = try GGUFSplit(file.header, file: file.file.path)?.tensorCount, count != records.count {
        faults.append(
          Fault(
            .malformedIndex, "another number of tensors than the file says the model has", file: file.file.path,
            subject: "split.tensors.count", expected: "\(count)", found: "\(records.count)"))
      }
    }
    try faults.check()
    self.init(
      path: path, files: files.map(\.file), records: records, ggufMetadata: metadata,
      warnings: warnings + files.flatMap(\.header.warnings))
  }
}
