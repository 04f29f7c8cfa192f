// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Tensors

/// Which logical expert stands in each physical slot, and which slots each expert-parallel rank has.
///
/// Slots are numbered through all ranks, rank after rank. Without redundant experts the first `experts mod ranks` ranks
/// hold one slot more, and ranks may be empty; with redundant experts all hold the same number.
///
/// ```swift
/// let placement = try ExpertPlacement.initial(expertCount: 2, redundant: 2, ranks: 2)
/// placement.logical          // [0, 1, 0, 1]
/// placement.slots(of: 1)     // 2..<4
/// placement.replicaCounts    // [2, 2]
/// ```
public struct ExpertPlacement: Sendable, Hashable {
  /// The expert of each physical slot.
  public let logical: [LogicalExpert]
  public let rankCount: Int
  /// The slots of each expert, ascending.
  public let replicas: [[PhysicalExpert]]

  public var expertCount: Int { replicas.count }
  public var redundantCount: Int { logical.count - expertCount }
  /// The number of slots that each expert has, at least 1.
  public var replicaCounts: [Int] { replicas.map(\.count) }

  /// The placement before any balancing: every expert once in order, then the first `redundant` of them once more,
  /// starting over at 0 when there are more (vLLM's initial map).
  ///
  /// - Throws: `invalidArgument` when the slots don't divide, naming the numbers of redundant experts that do.
  public static func initial(expertCount: Int, redundant: Int = 0, ranks: Int = 1) throws(MoEError) -> Self {
    guard expertCount > 0, ranks > 0, redundant >= 0, redundant <= 1 << 24 else {
      throw MoEError(
        .invalidArgument, "no such placement", expected: "at least 1 expert, 1 rank and no negative redundancy",
        found: "\(expertCount) experts, \(redundant) redundant, \(ranks) ranks")
    }
    if let fault = Self.indivisible(expertCount: expertCount, redundant: redundant, ranks: ranks) {
      throw MoEError([fault])
    }
    return Self(
      checked: (0..<expertCount + redundant).map { LogicalExpert(rawValue: $0 % expertCount) },
      expertCount: expertCount, ranks: ranks)
  }

  /// Takes a map whose every entry is one of the experts, and in which every expert stands.
  init(checked logical: [LogicalExpert], expertCount: Int, ranks: Int) {
    var replicas = Array(repeating: [PhysicalExpert](), count: expertCount)
    for (slot, expert) in logical.enumerated() { replicas[expert.rawValue].append(PhysicalExpert(rawValue: slot)) }
    self.logical = logical
    self.replicas = replicas
    rankCount = ranks
  }

  /// The physical slots of a rank.
  public func slots(of rank: Int) -> Range<Int> {
    let (base, rest) = logical.count.quotientAndRemainder(dividingBy: rankCount)
    let start = rank * base + min(rank, rest)
    return start..<start + base + (rank < rest ? 1 : 0)
  }

  /// The logical experts in the slots of a rank, in the order of its slots.
  public func experts(of rank: Int) -> ArraySlice<LogicalExpert> { logical[slots(of: rank)] }

  /// The rank that has a slot.
  public func rank(of slot: PhysicalExpert) -> Int {
    let (base, rest) = logical.count.quotientAndRemainder(dividingBy: rankCount)
    let longer = rest * (base + 1)
    return slot.rawValue < longer ? slot.rawValue / (base + 1) : rest + (slot.rawValue - longer) / base
  }

  /// A slot counted from the first of its rank.
  public func local(_ slot: PhysicalExpert) -> LocalExpert {
    LocalExpert(rawValue: slot.rawValue - slots(of: rank(of: slot)).lowerBound)
  }
}

// MARK: - Redundancy

extension ExpertPlacement {
  /// The least number of redundant experts that makes all ranks hold the same number of slots.
  public static func leastRedundant(expertCount: Int, ranks: Int) -> Int {
    (ranks - expertCount % ranks) % ranks
  }

  /// The fault of slots that don't divide over the ranks although some are redundant.
  static func indivisible(expertCount: Int, redundant: Int, ranks: Int) -> Fault? {
    let rest = (expertCount + redundant) % ranks
    guard redundant > 0, rest != 0 else { return nil }
    let fewer = redundant - rest
    let legal = (fewer >= 0 ? [fewer] : []) + [redundant + ranks - rest]
    return Fault(
      .invalidArgument, "redundant experts don't divide over the ranks", expected: "a multiple of \(ranks) slots",
      found: "\(expertCount) experts + \(redundant) redundant",
      remedy: legal.map(String.init).joined(separator: " or ") + " redundant divide")
  }
}
