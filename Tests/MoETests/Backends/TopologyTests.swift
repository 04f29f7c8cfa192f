// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Glibc
import TestSupport
import Testing

@testable import MoE

@Suite struct TopologyTests {
  /// A folder as Linux has it.
  private func read(_ files: [String: String], processors: [Int]) throws -> [[Int]] {
    let folder = try TemporaryFolder()
    for (name, text) in files {
      let parts = name.split(separator: "/")
      if parts.count > 1 { _ = unsafe mkdir("\(folder.path)/\(parts[0])", 0o700) }
      let path = "\(folder.path)/\(name)"
      guard let file = unsafe fopen(path, "w") else { throw MoEError(.invalidValue, "can't be written", subject: path) }
      _ = unsafe fputs(text, file)
      _ = unsafe fclose(file)
    }
    return Topology(folder: folder.path, processors: processors).nodes
  }

  @Test func nodesAreRead() throws {
    let files = ["online": "0-1,3\n", "node0/cpulist": "0-3,8\n", "node1/cpulist": "\n", "node3/cpulist": "4-7\n"]
    #expect(try read(files, processors: Array(0...8)) == [[0, 1, 2, 3, 8], [4, 5, 6, 7]])
    #expect(try read(files, processors: [2, 8, 5]) == [[2, 8], [5]])
    #expect(try read(files, processors: [5, 6]) == [[5, 6]])
    #expect(try read(files, processors: [1, 5, 40, 41]) == [[1], [5], [40, 41]])
  }

  @Test func whatIsNotThereIsOneNode() throws {
    #expect(try read([:], processors: [0, 1]) == [[0, 1]])
    #expect(try read(["online": "0", "node0/cpulist": "0-x"], processors: [0, 1]) == [[0, 1]])
    #expect(try read(["online": "0", "node0/cpulist": "3-1"], processors: [0, 1]) == [[0, 1]])
    #expect(!Topology.current.nodes.isEmpty && Topology.current.nodes.allSatisfy { !$0.isEmpty })
  }

  @Test func pretended() {
    let processors = [0, 1, 2, 3, 6, 7]
    #expect(Topology(pretending: "2x3", processors: processors)?.nodes == [[0, 1, 2], [3, 6, 7]])
    #expect(Topology(pretending: "3x1", processors: processors)?.nodes == [[0], [1], [2]])
    for text in ["", "2", "2x", "x2", "2x4", "0x1", "1x0", "-1x-1", "2x3x1", "9223372036854775807x2", "axb"] {
      #expect(Topology(pretending: text, processors: processors) == nil, "\(text)")
    }
  }

  @Test func oneRankSpreadsOverAllNodes() throws {
    let topology = try #require(Topology(pretending: "2x4", processors: Array(0..<8)))
    for workers in 1...8 {
      let places = try #require(topology.places(workers: workers))
      #expect(places.count == workers && Set(places.map(\.processor)).count == workers)
      let first = places.count { $0.processor < 4 }
      #expect(abs(2 * first - workers) <= 1)
      #expect(places.map(\.node) == places.map { $0.processor < 4 || first == 0 ? 0 : 1 })
    }
    #expect(topology.places(workers: 9) == nil)
  }

  @Test func ranksAreNearToOneMemory() throws {
    let topology = try #require(Topology(pretending: "2x4", processors: Array(0..<8)))
    for rank in 0..<4 {
      let places = try #require(topology.places(workers: 2, rank: rank, of: 4))
      #expect(places == [0, 1].map { .init(processor: Int32(2 * rank + $0), node: 0) })
    }
    #expect(topology.places(workers: 3, rank: 0, of: 3) == nil)
  }

  @Test func aPretendedPoolGivesTheSameBits() throws {
    let one = try #require(WorkerPool(threads: 1))
    guard let topology = Topology(pretending: "2x1") else { return }  // a machine of one processor
    let two = try #require(WorkerPool(threads: 2, topology: topology))
    #expect(one.nodeCount == 1 && two.nodeCount == 2 && two.isPinned)
    let test = ExpertsCase(experts: 4, hidden: 200, intermediate: 130, tokens: 40, topK: 2, hasBias: true)
    let experts = RandomExperts(test.specification, seed: 1)
    let routing = try randomRouting(tokens: 40, topK: 2, experts: 4, seed: 3)
    let hidden = randomValues(40 * 200, seed: 2)
    let outputs = try [one, two].map { pool in
      let backend = CPUBackend(pool: pool)
      return try backend.forward(experts.store(on: backend), hidden: hidden, routing: routing)
    }
    expectSameBits(outputs[1], outputs[0], "two nodes")
  }
}
