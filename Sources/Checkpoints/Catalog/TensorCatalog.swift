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
/// Sendable and immutable: threads may read from it at once.
public struct TensorCatalog: Sendable {
  /// The folder or the file that was opened.
  public let path: String
  /// The files, in the order of their names.
  public let files: [RandomAccessFile]
  /// The tensors, sorted by name.
  public let records: [TensorRecord]
  /// The `__metadata__` of each file.
  public let metadata: [[String: String]]
  /// What is strange, but no reason to refuse, as sentences without a full stop.
  public let warnings: [String]

  init(
    path: String, shards: [SafetensorsFile], records: [TensorRecord], warnings: [String]
  ) {
    self.path = path
    files = shards.map(\.file)
    metadata = shards.map(\.header.metadata)
    self.records = records
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

  /// The path of the file that holds a tensor.
  public func path(of record: TensorRecord) -> String { files[record.file].path }
}
