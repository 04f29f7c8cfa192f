// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Tensors

/// All tensors of a checkpoint: what each is and where it lies. Headers are read, data are not.
///
/// ```swift
/// let catalog = try TensorCatalog(opening: "/models/mixtral")
/// let router = catalog["model.layers.0.block_sparse_moe.gate.weight"]!
/// let weights = try catalog.floats(of: router)
/// ```
///
/// Safetensors and GGUF alike; quantised tensors of the latter are bytes with a `TensorRecord.ggmlType`.
///
/// Sendable and immutable: threads may read from it at once.
public struct TensorCatalog: Sendable {
  /// The folder or the file that was opened.
  public let path: String
  /// The files, in the order of their names; those of a GGUF set in the order of their numbers. None where tensors were
  /// only declared.
  public let files: [RandomAccessFile]
  /// The tensors, sorted by name.
  public let records: [TensorRecord]
  /// The `__metadata__` of each safetensors file.
  public let metadata: [[String: String]]
  /// The metadata of a model in GGUF, those of its first file; nil for safetensors.
  public let ggufMetadata: [String: JSONValue]?
  /// What is strange, but no reason to refuse, as sentences without a full stop.
  public let warnings: [String]

  init(
    path: String, files: [RandomAccessFile], records: [TensorRecord], metadata: [[String: String]] = [],
    ggufMetadata: [String: JSONValue]? = nil, warnings: [String]
  ) {
    self.path = path
    self.files = files
    self.records = records
    self.metadata = metadata
    self.ggufMetadata = ggufMetadata
    self.warnings = warnings
  }

  /// The tensor of this name.
  ///
  /// - Complexity: O(log n).
  public subscript(name: String) -> TensorRecord? {
    var low = 0
    var high = records.count
    while low < high {
      let middle = (low + high) / 2
      if records[middle].name < name { low = middle + 1 } else { high = middle }
    }
    return low < records.count && records[low].name == name ? records[low] : nil
  }

  /// The bytes of all tensors.
  public var byteCount: Int { records.reduce(0) { $0 + $1.byteCount } }

  /// The path of the file that holds a tensor; ``path`` where there is none.
  public func path(of record: TensorRecord) -> String { record.file < files.count ? files[record.file].path : path }
}
