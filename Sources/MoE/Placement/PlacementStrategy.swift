// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// How experts are dealt out to ranks before any balancing.
public enum PlacementStrategy: String, Sendable, Hashable, CaseIterable {
  /// Neighbours together: of 10 experts on 4 ranks 0 1 2 | 3 4 5 | 6 7 | 8 9.
  case linear
  /// One after the other: 0 4 8 | 1 5 9 | 2 6 | 3 7. Experts of one group, which are chosen together, spread out.
  case roundRobin = "round_robin"

  /// The placement of this strategy. The first `experts mod ranks` ranks hold one expert more.
  ///
  /// - Throws: `invalidArgument` for redundant experts that don't divide, and for any with ``roundRobin``.
  public func placement(expertCount: Int, redundant: Int = 0, ranks: Int) throws(MoEError) -> ExpertPlacement {
    let linear = try ExpertPlacement.initial(expertCount: expertCount, redundant: redundant, ranks: ranks)
    guard self == .roundRobin else { return linear }
    guard redundant == 0 else {
      throw MoEError(
        .invalidArgument, "experts that are dealt out one after the other have no replicas", expected: "0 redundant",
        found: "\(redundant)", remedy: "use the linear strategy")
    }
    return ExpertPlacement(
      checked: (0..<ranks).flatMap { stride(from: $0, to: expertCount, by: ranks).map(LogicalExpert.init) },
      expertCount: expertCount, ranks: ranks)
  }

  /// What vLLM's engine asks of a layer before it deals its experts out one after the other.
  public struct Conditions: Sendable, Hashable {
    /// Groups of the router.
    public var groupCount: Int
    public var redundantCount: Int
    public var isBalanced: Bool
    public var ranks: Int
    /// The name of the all-to-all backend, nil where none is used.
    public var allToAllBackend: String?

    public init(
      groupCount: Int, redundantCount: Int = 0, isBalanced: Bool = false, ranks: Int, allToAllBackend: String? = nil
    ) {
      self.groupCount = groupCount
      self.redundantCount = redundantCount
      self.isBalanced = isBalanced
      self.ranks = ranks
      self.allToAllBackend = allToAllBackend
    }
  }

  /// The strategy that vLLM would follow, and every reason why it isn't the one that was asked for.
  ///
  /// Our own dispatch deals with any placement; this is for placements that another engine is to read.
  public func resolved(for conditions: Conditions) -> (strategy: Self, reasons: [String]) {
    guard self == .roundRobin else { return (self, []) }
    let withTables = ["deepep_low_latency", "nixl_ep"]
    let obstacles = [
      (conditions.groupCount <= 1, "the router has no groups"),
      (conditions.redundantCount > 0, "there are redundant experts"),
      (conditions.isBalanced, "experts are balanced by load"),
      (conditions.ranks <= 1, "there is one rank"),
      (
        conditions.allToAllBackend.map { !withTables.contains($0) } ?? false,
        "the all-to-all backend \(conditions.allToAllBackend ?? "") has no routing tables "
          + "(\(withTables.joined(separator: ", ")) have)"
      ),
    ]
    let reasons = obstacles.filter(\.0).map(\.1)
    return (reasons.isEmpty ? .roundRobin : .linear, reasons)
  }
}
