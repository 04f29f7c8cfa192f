// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import CMoEKernels
import Testing

/// Workers on NUMA nodes: pretended ones, as the machine of a test has one.
@Suite struct NodeTests {
  /// The node of each worker.
  static let topologies: [[Int32]] = [
    [0], [0, 1], [0, 0, 1], [0, 1, 1, 1], [0, 0, 1, 1, 2, 2], [0, 1, 2, 3, 4, 5, 6],
  ]

  static func layout(hidden: Int, intermediate: Int, gated: Bool) -> moe_expert_layout {
    moe_expert_layout_make(
      moe_expert_shape(hidden: hidden, intermediate: intermediate, element: .bf16, gated: gated, biased: true))
  }

  @Test(arguments: topologies)
  func `Every worker has a place, and shares follow each other`(nodes: [Int32]) {
    let pool = Pool(nodes: nodes)
    #expect(unsafe moe_pool_nodes(pool.handle) == nodes.last! + 1)
    for (worker, node) in nodes.enumerated() {
      let place = unsafe moe_pool_place(pool.handle, Int32(worker))
      #expect(place.node == node && place.workers == nodes.count { $0 == node })
      #expect(place.index == worker - nodes.firstIndex(of: node)!)
    }
    for count in [Int64(0), 1, 2, 3, 7, 64, 1001] {
      var end: Int64 = 0
      for node in 0...nodes.last! {
        let share = unsafe moe_pool_share(pool.handle, node, count)
        #expect(share.first == end && share.end >= share.first)
        end = share.end
        // As many as the node's workers call for, up to one that rounding gives or takes.
        let fair = Double(count) * Double(nodes.count { $0 == node }) / Double(nodes.count)
        #expect(abs(Double(share.end - share.first) - fair) < 1)
      }
      #expect(end == count)
    }
  }

  @Test(arguments: topologies, [true, false])
  func `Slices of an expert are apart from each other, and together the expert`(nodes: [Int32], gated: Bool) {
    let pool = Pool(nodes: nodes)
    for (hidden, intermediate) in [(64, 32), (544, 672), (96, 1024)] {
      var layout = Self.layout(hidden: hidden, intermediate: intermediate, gated: gated)
      var owners = [Int32](repeating: -1, count: Int(layout.bytes))
      for node in 0...nodes.last! {
        let share = unsafe moe_expert_share(&layout, pool.handle, node)
        for part in [share.gate_up, share.down] {
          for byte in part.first..<part.end {
            #expect(owners[Int(byte)] == -1)
            owners[Int(byte)] = node
          }
        }
      }
      #expect(!owners.contains(-1))
    }
  }

  @Test func `Each page of new memory is written once, and nothing else`() {
    var layout = Self.layout(hidden: 544, intermediate: 672, gated: true)
    let count = 3, byteCount = count * Int(layout.bytes)
    for nodes in Self.topologies {
      let memory = Memory(byteCount: byteCount)
      let pool = Pool(nodes: nodes)
      withExtendedLifetime(pool) {
        unsafe moe_touch_experts(pool.handle, &layout, memory.base, Int64(count))
      }
      for index in 0..<byteCount {
        let isPage = unsafe (UInt(bitPattern: memory.base) + UInt(index)) % 4096 == 0
        let expected: UInt8 = isPage && nodes.last! > 0 ? 0 : 0xff
        guard unsafe memory.bytes[index] != expected else { continue }
        Issue.record("byte \(index) of \(nodes)")
      }
    }
  }

  @Test(arguments: topologies, [moe_activations.f32, .bf16, .int8])
  func `Bits are those of one node`(nodes: [Int32], activations: moe_activations) {
    let formats = ["bf16", "int8, groups of 128", "q4_k"]
    for format in PrecisionTests.formats where formats.contains(format.testDescription) {
      let layer = format.layer(hidden: 168, intermediate: 136)
      for tokens in [1, 3, 130] {
        let batch = Layer.Batch(layer: layer, tokens: tokens, topK: 2, skip: true)
        let one = layer.forward(batch, isa: moe_isa_best(), pool: Pool(threads: 1), activations: activations)
        let many = layer.forward(batch, isa: moe_isa_best(), pool: Pool(nodes: nodes), activations: activations)
        #expect(one.status == .ok && many.status == .ok)
        #expect(many.out == one.out, "\(format.testDescription), \(tokens) tokens")
      }
    }
  }

  @Test(arguments: [[1, 1], [0, 2], [0, 1, 0], [-1, 0], [0, 0, 2]] as [[Int32]])
  func `Nodes that are not numbered one after the other are refused`(nodes: [Int32]) {
    #expect(unsafe moe_pool_create(Int32(nodes.count), nil, nodes, false, 0) == nil)
  }
}
