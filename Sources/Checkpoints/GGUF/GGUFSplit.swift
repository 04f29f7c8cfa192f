// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Tensors

/// Which part of a set a file is, by its metadata: `split.no` (from 0), `split.count` and `split.tensors.count`.
struct GGUFSplit: Hashable {
  /// From 1, as in names.
  var number: Int
  var count: Int
  /// Of the whole set.
  var tensorCount: Int?

  /// Nil for a file that says nothing of parts, or that it has none: a merged one has a count of 0.
  init?(_ header: GGUFHeader, file: String) throws(CheckpointError) {
    let keys = ["split.no", "split.count", "split.tensors.count"]
    let values = keys.map { header.metadata[$0] }
    guard values.contains(where: { $0 != nil }), values[1] != .integer(0) else { return nil }
    guard let index = values[0]?.integer, let count = values[1]?.integer, index >= 0, index < count,
      values[2] == nil || values[2]?.integer != nil
    else {
      throw CheckpointError(
        Fault(
          .malformedIndex, "the file does not say which part of the set it is", file: file,
          subject: keys.joined(separator: ", "), expected: "whole numbers, the first below the second",
          found: values.map { $0?.serialized() ?? "nothing" }.joined(separator: ", ")))
    }
    (number, self.count, tensorCount) = (index + 1, count, values[2]?.integer)
  }
}

/// The parts of a name like `mixtral-00002-of-00005.gguf`.
struct GGUFShardName: Hashable {
  private static let suffix = ".gguf"
  private static let otherSuffix = ".safetensors"
  private let shard: ShardName

  var number: Int { shard.number }
  var total: Int { shard.total }
  var prefix: String { shard.prefix }

  init?(_ name: String) {
    guard name.hasSuffix(Self.suffix),
      let shard = ShardName(name.dropLast(Self.suffix.utf8.count) + Self.otherSuffix)
    else { return nil }
    self.shard = shard
  }

  /// The name of another file of the set.
  func name(of number: Int) -> String { shard.name(of: number).dropLast(Self.otherSuffix.utf8.count) + Self.suffix }
}
