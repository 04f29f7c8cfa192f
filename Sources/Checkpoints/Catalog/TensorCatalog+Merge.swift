// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Tensors

extension TensorCatalog {
  /// Opens all `files`, merges their tensors and compares them with the index; collects the faults of all of them.
  init(
    path: String, files: [String], index: (ShardIndex, path: String)?, warnings: [String]
  ) throws(CheckpointError) {
    var faults = FaultList()
    if let (index, indexPath) = index { faults.append(contentsOf: Self.faults(inNamesOf: index, indexPath)) }
    var shards: [SafetensorsFile?] = []
    for file in files {
      do throws(CheckpointError) {
        if !file.hasSuffix(".safetensors"), let signature = FileSignature(name: file) {
          throw CheckpointError(signature.fault(file: file))
        }
        shards.append(try SafetensorsFile(opening: file))
      } catch {
        shards.append(nil)
        for fault in error.faults {
          guard let (index, indexPath) = index else {
            faults.append(fault)
            continue
          }
          faults.append(Self.inIndex(fault, index, indexPath, file: shards.count - 1))
        }
      }
    }

    let records = Self.merged(shards.map { $0?.header.tensors ?? [] }, of: files, &faults)
    var warnings = warnings
    if let (index, indexPath) = index {
      Self.compare(records, with: index, indexPath, isOpen: shards.map { $0 != nil }, &faults)
      let total = records.reduce(0) { $0 + $1.byteCount }
      if let totalSize = index.totalSize, totalSize != total {
        warnings.append("\(indexPath): metadata.total_size is \(totalSize), but the tensors have \(total) bytes")
      }
    }
    try faults.check()
    let open = shards.compactMap(\.self)
    self.init(
      path: path, files: open.map(\.file), records: records, metadata: open.map(\.header.metadata), warnings: warnings)
  }

  /// The tensors of all files, sorted by name.
  static func merged(_ tensors: [[TensorRecord]], of files: [String], _ faults: inout FaultList) -> [TensorRecord] {
    var records: [TensorRecord] = []
    for (number, tensors) in tensors.enumerated() {
      for var record in tensors {
        record.file = number
        records.append(record)
      }
    }
    records.sort { ($0.name, $0.file) < ($1.name, $1.file) }
    for (record, next) in zip(records, records.dropFirst()) where record.name == next.name {
      faults.append(
        Fault(
          .duplicateTensor, "the tensor is in two files", file: files[next.file], subject: record.name,
          expected: "it in one", found: "it in \(FilePath.lastName(of: files[record.file])) too"))
    }
    return records
  }

  /// The fault of a file, in the light of an index that names it.
  private static func inIndex(_ fault: Fault, _ index: ShardIndex, _ indexPath: String, file: Int) -> Fault {
    guard fault.code == .unreadable, (try? System.status(at: fault.file ?? "")) == nil else { return fault }
    let count = index.entries.count { $0.file == file }
    let position = ShardName(index.files[file]).map { "shard \($0.number) of \($0.total)" } ?? "a file"
    return Fault(
      .missingShard, "\(position) that \(FilePath.lastName(of: indexPath)) names is missing (with \(count) tensors)",
      file: fault.file, remedy: "download it; a broken symbolic link counts as missing")
  }

  /// Numbers that the names of the files lack: an index that knows four of five shards has lost some tensors.
  private static func faults(inNamesOf index: ShardIndex, _ path: String) -> [Fault] {
    let names = index.files.compactMap { ShardName($0) }
    guard let first = names.first, names.count == index.files.count,
      names.allSatisfy({ ($0.prefix, $0.total) == (first.prefix, first.total) })
    else { return [] }
    return ShardName.missing(of: names).map { number in
      Fault(
        .missingShard, "no tensor is in shard \(number) of \(first.total)", file: path, subject: first.name(of: number),
        expected: "\(first.total) files", found: "\(names.count)")
    }
  }

  /// Tensors that are not where the index says, or that it does not know. Both lists are sorted by name.
  private static func compare(
    _ records: [TensorRecord], with index: ShardIndex, _ path: String, isOpen: [Bool], _ faults: inout FaultList
  ) {
    var position = 0
    for entry in index.entries {
      while position < records.count && records[position].name < entry.tensor {
        faults.append(unlisted(records[position], index, path))
        position += 1
      }
      var places: [Int] = []
      while position < records.count && records[position].name == entry.tensor {
        places.append(records[position].file)
        position += 1
      }
      // What a file holds that could not be opened is not known: its own fault says enough.
      guard !places.contains(entry.file) && isOpen[entry.file] else { continue }
      let other = places.first.map { "it in \(index.files[$0])" } ?? "it in no file"
      faults.append(
        Fault(
          .missingTensor, "the tensor is not in the file that the index names", file: path, subject: entry.tensor,
          expected: "it in \(index.files[entry.file])", found: other))
    }
    for record in records[position...] { faults.append(unlisted(record, index, path)) }
  }

  private static func unlisted(_ record: TensorRecord, _ index: ShardIndex, _ path: String) -> Fault {
    Fault(
      .unlistedTensor, "the tensor is in \(index.files[record.file]) but not in the index", file: path,
      subject: record.name)
  }
}
