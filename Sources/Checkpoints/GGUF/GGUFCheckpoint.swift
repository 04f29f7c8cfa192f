// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Tensors

/// All tensors of a model in GGUF: what each is and where it lies, over all files of a split model. Headers are read,
/// data are not.
///
/// ```swift
/// let model = try GGUFCheckpoint(opening: "mixtral-00001-of-00002.gguf")
/// let down = model["blk.0.ffn_down_exps.weight"]!                     // [8, 4096, 14336], Q6_K
/// let row = try model.floats(of: down, rows: 3 * 4096..<3 * 4096 + 1)  // the first row of expert 3
/// ```
///
/// Sendable and immutable: threads may read from it at once.
public struct GGUFCheckpoint: Sendable {
  /// The folder or the file that was opened.
  public let path: String
  /// The files, in the order of their numbers.
  public let files: [GGUFFile]
  /// The tensors, sorted by name.
  public let tensors: [GGUFTensor]
  /// The metadata of the first file, which has them all.
  public let metadata: [String: JSONValue]
  /// What is strange, but no reason to refuse, as sentences without a full stop.
  public let warnings: [String]

  init(path: String, files: [GGUFFile]) throws(CheckpointError) {
    self.path = path
    self.files = files
    metadata = files[0].header.metadata
    warnings = files.flatMap(\.header.warnings)
    var tensors: [GGUFTensor] = []
    for (number, file) in files.enumerated() {
      for var tensor in file.header.tensors {
        tensor.file = number
        tensors.append(tensor)
      }
    }
    tensors.sort { ($0.name, $0.file) < ($1.name, $1.file) }
    self.tensors = tensors

    var faults = FaultList()
    for (tensor, next) in zip(tensors, tensors.dropFirst()) where tensor.name == next.name {
      faults.append(
        Fault(
          .duplicateTensor, "the tensor is in two files", file: files[next.file].file.path, subject: tensor.name,
          expected: "it in one", found: "it in \(FilePath.lastName(of: files[tensor.file].file.path)) too"))
    }
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
      if let count = try GGUFSplit(file.header, file: file.file.path)?.tensorCount, count != tensors.count {
        faults.append(
          Fault(
            .malformedIndex, "another number of tensors than the file says the model has", file: file.file.path,
            subject: "split.tensors.count", expected: "\(count)", found: "\(tensors.count)"))
      }
    }
    try faults.check()
  }

  /// The tensor of this name.
  ///
  /// - Complexity: O(log n).
  public subscript(name: String) -> GGUFTensor? {
    var low = 0
    var high = tensors.count
    while low < high {
      let middle = (low + high) / 2
      if tensors[middle].name < name { low = middle + 1 } else { high = middle }
    }
    return low < tensors.count && tensors[low].name == name ? tensors[low] : nil
  }

  /// The bytes of all tensors.
  public var byteCount: Int { tensors.reduce(0) { $0 + $1.byteCount } }

  /// The path of the file that holds a tensor.
  public func path(of tensor: GGUFTensor) -> String { files[tensor.file].file.path }
}
