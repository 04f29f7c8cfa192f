// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import MoE
import Testing

/// Bytes of boxes, against counting element by element.
@Suite struct ByteRunsTests {
  @Test(arguments: 0..<200) func box(seed: Int) {
    var random = SplitMix64(seed: UInt64(seed))
    let rank = Int.random(in: 0...4, using: &random)
    let shape = (0..<rank).map { _ in Int.random(in: 1...5, using: &random) }
    let box = shape.map { extent -> [Range<Int>] in
      let picked = (0..<extent).filter { _ in Bool.random(using: &random) }
      return Bool.random(using: &random) ? [0..<extent] : picked.map { $0..<$0 + 1 }.united
    }
    let (width, offset) = (Int.random(in: 1...4, using: &random), Int.random(in: 0...9, using: &random))
    let found = [ByteRuns].box(box, of: shape, width: width, offset: offset)

    var expected: Set<Int> = []
    for index in 0..<shape.reduce(1, *) {
      var rest = index
      let isIn = zip(shape, box).reversed().allSatisfy { extent, ranges in
        defer { rest /= extent }
        return ranges.contains { $0.contains(rest % extent) }
      }
      if isIn { expected.formUnion(offset + index * width..<offset + (index + 1) * width) }
    }
    let bytes = found.flatMap(\.ranges).flatMap { Array($0) }
    #expect(bytes.count == expected.count && Set(bytes) == expected, "\(shape) \(box)")
    #expect(found.byteCount == expected.count)
    for run in found { #expect(run.span == run.ranges[0].lowerBound..<run.ranges.last!.upperBound) }
  }

  @Test func united() {
    #expect([4..<6, 0..<2, 2..<3, 5..<9, 20..<20].united == [0..<3, 4..<9])
  }
}
