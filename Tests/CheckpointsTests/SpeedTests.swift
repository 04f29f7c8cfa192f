// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import Foundation
import MoE
import Tensors
import Testing

/// Not part of a usual run: `MOE_MEASURE=1 swift test -c release --filter SpeedTests`.
@Suite(.enabled(if: ProcessInfo.processInfo.environment["MOE_MEASURE"] != nil), .serialized)
struct SpeedTests {
  private static let count = 200_000

  /// The tensors of 200,000 expert projections, by layer and expert: the names are not in the order of the text.
  private static func header(shuffled: Bool) -> (image: [UInt8], dataSize: Int) {
    var entries = (0..<count).map { index in
      let name =
        "model.layers.\(index / 768).mlp.experts.\(index % 768 / 3).\(["gate", "up", "down"][index % 3])_proj.weight"
      let offsets = "[\(index * 29_360_128),\((index + 1) * 29_360_128)]"
      return #""\#(name)":{"dtype":"BF16","shape":[2048,7168],"data_offsets":\#(offsets)}"#
    }
    if shuffled {
      var generator = SplitMix64(seed: 0)
      entries.shuffle(using: &generator)
    }
    return (safetensors("{\(entries.joined(separator: ","))}"), count * 29_360_128)
  }

  @Test(arguments: [false, true])
  func headerOf200000Tensors(shuffled: Bool) throws {
    let (image, dataSize) = Self.header(shuffled: shuffled)
    var best = Double.infinity
    for _ in 0..<5 {
      let start = processorSeconds()
      let header = try SafetensorsHeader(parsing: image, fileSize: image.count + dataSize)
      best = min(best, processorSeconds() - start)
      #expect(header.tensors.count == Self.count)
    }
    print("header of \(Self.count) tensors, \(image.count) bytes, shuffled \(shuffled): \(best) s of processor time")
    // Loose: Python needs three times as long for the same text, and the machine may be slow.
    #expect(best < 1)
  }

  @Test func indexOf200000Tensors() throws {
    let lines = (0..<Self.count).map { index in
      let name = "model.layers.\(index / 768).mlp.experts.\(index % 768 / 3).\(index % 3)"
      return "\"\(name)\":\"model-\(10001 + index / 1000)-of-00200.safetensors\""
    }
    let text = Array("{\"weight_map\":{\(lines.joined(separator: ","))}}".utf8)
    let start = processorSeconds()
    let index = try ShardIndex(parsing: text)
    print("index of \(Self.count) tensors, \(text.count) bytes: \(processorSeconds() - start) s of processor time")
    #expect(index.entries.count == Self.count)
  }
}

/// Processor time of this process: on a machine that others use too, the clock on the wall measures them.
private func processorSeconds() -> Double { Double(clock()) / Double(CLOCKS_PER_SEC) }
