// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import CMoEKernels
internal import Glibc

/// Which processors are near to which memory: the NUMA nodes of a machine.
///
/// Every expert is cut into a slice of outputs for each node. A slice lies in the node's memory and is read by the node's
/// workers alone; only activations cross. The bits of results are those of one node.
///
/// ```swift
/// Topology.current.nodes                       // [[0, 1, 2, 3], [4, 5, 6, 7]]
/// let pool = WorkerPool(threads: 8, topology: Topology(pretending: "2x4")!)
/// ```
public struct Topology: Sendable, Hashable {
  /// The processors of each node, ascending; no node is without any, and no processor is in two.
  public let nodes: [[Int]]

  /// Those of the processors in the affinity mask, as Linux tells them; one node where it doesn't.
  public static var current: Topology { Topology(folder: "/sys/devices/system/node", processors: available) }

  /// Reads the files `node*/cpulist` of a folder.
  ///
  /// - Parameter processors: those that may be used. Some that no file names are a node of their own.
  init(folder: String, processors: [Int]) {
    var left = Set(processors)
    var nodes: [[Int]] = []
    for node in Self.firstLine(of: "\(folder)/online").flatMap(Self.numbers) ?? [] {
      guard let numbers = Self.firstLine(of: "\(folder)/node\(node)/cpulist").flatMap(Self.numbers) else { continue }
      let here = numbers.filter { left.remove($0) != nil }
      if !here.isEmpty { nodes.append(here.sorted()) }
    }
    self.nodes = left.isEmpty ? nodes : nodes + [left.sorted()]
  }

  /// A machine that isn't this one, for tests: `2x4` says two nodes of four processors, the first eight of the affinity
  /// mask, whatever they are near to.
  ///
  /// - Returns: nil for what is no such text or more processors than there are.
  public init?(pretending text: String) {
    self.init(pretending: text, processors: Self.available)
  }

  init?(pretending text: String, processors: [Int]) {
    let sizes = text.split(separator: "x", omittingEmptySubsequences: false).map { Int($0) ?? 0 }
    guard sizes.count == 2, sizes.allSatisfy({ $0 > 0 }) else { return nil }
    let (count, overflow) = sizes[0].multipliedReportingOverflow(by: sizes[1])
    guard !overflow, count <= processors.count else { return nil }
    nodes = (0..<sizes[0]).map { Array(processors[$0 * sizes[1]..<($0 + 1) * sizes[1]]) }
  }

  /// Processors in the affinity mask of the calling thread, ascending; numbers from 0 on where the system doesn't tell.
  private static var available: [Int] {
    var processors = [Int32](repeating: 0, count: WorkerPool.availableProcessors)
    let count = unsafe moe_available_cpu_list(&processors, Int32(processors.count))
    return processors.prefix(Int(count)).map { Int($0) }
  }
}

extension Topology {
  /// A worker's processor, and its node counted among those that have workers.
  struct Place: Hashable {
    var processor: Int32
    var node: Int32
  }

  /// Places for the workers of a rank, ascending by node; nil when there are fewer processors than workers on all ranks.
  ///
  /// One rank spreads over all nodes, in proportion to their processors. Of many, each takes its part of the processors,
  /// one rank after the other, so that most are near to one memory.
  func places(workers: Int, rank: Int = 0, of ranks: Int = 1) -> [Place]? {
    let all = nodes.indices.flatMap { node in nodes[node].map { (processor: $0, node: node) } }
    let (needed, overflow) = workers.multipliedReportingOverflow(by: max(ranks, rank + 1))
    guard !overflow, needed <= all.count, nodes.count <= MOE_POOL_NODES else { return nil }
    var chosen = Array(all[workers * rank..<workers * (rank + 1)])
    if ranks == 1 {
      var (before, taken) = (0, 0)
      chosen = nodes.indices.flatMap { node in
        before += nodes[node].count
        let here = nodes[node].prefix((before * workers + all.count - 1) / all.count - taken)
        taken += here.count
        return here.map { (processor: $0, node: node) }
      }
    }
    var used: [Int] = []
    return chosen.map { place in
      if used.last != place.node { used.append(place.node) }
      return Place(processor: Int32(place.processor), node: Int32(used.count - 1))
    }
  }

  private static func firstLine(of path: String) -> Substring? {
    guard let file = unsafe fopen(path, "r") else { return nil }
    defer { _ = unsafe fclose(file) }
    let text = unsafe String(unsafeUninitializedCapacity: 4096) { unsafe fread($0.baseAddress, 1, $0.count, file) }
    return text.split(whereSeparator: \.isNewline).first
  }

  /// `0-3,8` are 0, 1, 2, 3 and 8.
  private static func numbers(_ list: Substring) -> [Int]? {
    var numbers: [Int] = []
    for part in list.split(separator: ",") {
      let ends = part.split(separator: "-").map { Int($0) ?? -1 }
      guard let first = ends.first, let last = ends.last, ends.count <= 2, first >= 0, first <= last, last < 1 << 20
      else { return nil }
      numbers += first...last
    }
    return numbers
  }
}
