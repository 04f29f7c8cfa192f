// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

extension Array {
  /// Runs of at most `limit` bytes, or of one element that is larger: what goes into each file. At least one run.
  func shards(ofAtMost limit: Int, _ byteCount: (Element) -> Int) -> [[Element]] {
    var shards: [[Element]] = [[]]
    var size = 0
    for element in self {
      let count = byteCount(element)
      if size > 0 && size + count > limit {
        shards.append([])
        size = 0
      }
      shards[shards.count - 1].append(element)
      size += count
    }
    return shards
  }
}
