// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Tensors

/// The index of a sharded checkpoint, `model.safetensors.index.json`: which tensor is in which file.
///
/// Parsing validates the index by itself; `TensorCatalog` compares it with the files.
public struct ShardIndex: Sendable, Hashable {
  /// A line of the index.
  public struct Entry: Sendable, Hashable {
    public let tensor: String
    /// The index of its file in `files`.
    public let file: Int
  }

  /// The names of the files, relative to the index, sorted. None of them leaves its folder.
  public let files: [String]
  /// The tensors, sorted by name.
  public let entries: [Entry]
  /// `metadata.total_size`: the bytes of all tensors, as the writer counted them.
  public let totalSize: Int?

  /// The limit on the size of an index file.
  public static let sizeLimit = 256 << 20

  /// Parses an index.
  ///
  /// - Throws: All faults of the index, as long as it is JSON; else the first one.
  public init(parsing bytes: [UInt8], file: String = "model.safetensors.index.json") throws(CheckpointError) {
    var parser = ShardIndexParser(bytes, file: file)
    self = try parser.parse()
  }

  /// The contents of an index of these tensors and their files.
  package static func json(of tensors: [(name: String, file: String)], totalSize: Int) -> JSONValue {
    let files = tensors.map { ($0.name, JSONValue.string($0.file)) }
    return [
      "metadata": ["total_size": .integer(totalSize)], "weight_map": .object(Dictionary(uniqueKeysWithValues: files)),
    ]
  }

  init(files: [String], entries: [Entry], totalSize: Int?) {
    self.files = files
    self.entries = entries
    self.totalSize = totalSize
  }
}

private struct ShardIndexParser {
  private var reader: JSONReader
  private let file: String
  private var faults = FaultList()
  private var numbers: [String: Int] = [:]  // of the files, in the order of their appearance
  private var entries: [ShardIndex.Entry] = []
  private var totalSize: Int? = nil

  init(_ bytes: [UInt8], file: String) {
    reader = JSONReader(bytes, file: file)
    self.file = file
  }

  mutating func parse() throws(CheckpointError) -> ShardIndex {
    var keys: Set<String> = []
    guard try reader.peekKind() == .object else {
      throw CheckpointError(Fault(.malformedIndex, "the index is not a JSON object", file: file))
    }
    try reader.beginObject()
    while let key = try reader.nextKey() {
      guard keys.insert(key).inserted else { throw reader.duplicate(key) }
      switch key {
      case "weight_map": try parseWeightMap()
      case "metadata": try parseMetadata()
      default: try reader.skipValue()
      }
    }
    try reader.finish()
    if !keys.contains("weight_map") { add(.malformedIndex, "no weight_map") }

    entries.sort { $0.tensor < $1.tensor }
    for (entry, next) in zip(entries, entries.dropFirst()) where entry.tensor == next.tensor {
      add(.duplicateKey, "the tensor stands twice in weight_map", subject: entry.tensor)
    }
    let names = numbers.keys.sorted()
    for name in names where !FilePath.staysInside(name) {
      add(
        .escapesFolder, "the file \(quoted(name)) is not in the folder of the index",
        expected: "a name without .. or /",
        found: quoted(name))
    }
    try faults.check()
    var sorted = [Int](repeating: 0, count: names.count)
    for (index, name) in names.enumerated() { sorted[numbers[name]!] = index }
    return ShardIndex(
      files: names, entries: entries.map { ShardIndex.Entry(tensor: $0.tensor, file: sorted[$0.file]) },
      totalSize: totalSize)
  }

  private mutating func parseWeightMap() throws(CheckpointError) {
    guard try reader.peekKind() == .object else {
      add(.malformedIndex, "weight_map is not an object")
      return try reader.skipValue()
    }
    var last = ("", 0)
    try reader.beginObject()
    while let name = try reader.nextKey() {
      if let fault = SafetensorsHeaderParser.faultInName(name) { faults.append(fault(file)) }
      guard try reader.peekKind() == .string else {
        add(.malformedIndex, "the file of a tensor is not a string", subject: name)
        try reader.skipValue()
        continue
      }
      let shard = try reader.readString()
      if shard != last.0 || entries.isEmpty {
        last = (shard, numbers[shard] ?? numbers.count)
        numbers[shard] = last.1
      }
      entries.append(ShardIndex.Entry(tensor: name, file: last.1))
    }
    if entries.isEmpty { add(.malformedIndex, "weight_map is empty") }
  }

  /// Only `total_size` matters here, and that only as advice: one that is no whole number counts as absent.
  private mutating func parseMetadata() throws(CheckpointError) {
    let metadata = try reader.readValue()
    totalSize = metadata["total_size"]?.integer ?? metadata["total_size"]?.number.flatMap { Int(exactly: $0) }
  }

  private mutating func add(
    _ code: Fault.Code, _ message: String, subject: String? = nil, expected: String? = nil, found: String? = nil
  ) {
    faults.append(Fault(code, message, file: file, subject: subject, expected: expected, found: found))
  }
}
