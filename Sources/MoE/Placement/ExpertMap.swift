// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// A placement as one rank looks things up in it: from experts to slots, to ranks, to its own slots.
///
/// It is a value of a placement and a rank. A changed group of ranks, or a moved expert, is another placement and so
/// another map: nothing of the old one can be left over.
///
/// ```swift
/// let placement = try PlacementStrategy.linear.placement(expertCount: 10, ranks: 4)
/// let map = ExpertMap(placement, rank: 1)
/// map.globalToLocal            // [-1, -1, -1, 0, 1, 2, -1, -1, -1, -1]
/// map.description              // "0->3, 1->4, 2->5"
/// ```
public struct ExpertMap: Sendable, Hashable {
  public let placement: ExpertPlacement
  /// The expert-parallel rank.
  public let rank: Int
  /// Int32 `[slots]`: the rank that has a slot.
  public let owner: [Int32]
  /// Int32 `[slots]`: the place of a slot among those of its owner.
  public let place: [Int32]

  /// - Precondition: `rank` is one of the placement's.
  public init(_ placement: ExpertPlacement, rank: Int) {
    precondition((0..<placement.rankCount).contains(rank))
    self.placement = placement
    self.rank = rank
    var (owner, place): ([Int32], [Int32]) = ([], [])
    for rank in 0..<placement.rankCount {
      let count = placement.slots(of: rank).count
      owner += Array(repeating: Int32(rank), count: count)
      place += (0..<count).map { Int32($0) }
    }
    (self.owner, self.place) = (owner, place)
  }
}

// MARK: - Tables for other engines

extension ExpertMap {
  /// Int32 `[experts]` without redundant experts, `[slots]` with: the local slot of a global id, −1 where another rank has
  /// it. With redundant experts global ids number the slots.
  public var globalToLocal: [Int32] {
    guard placement.redundantCount == 0 else {
      return owner.indices.map { owner[$0] == rank ? place[$0] : -1 }
    }
    return globalToPhysical.map { owner[Int($0)] == rank ? place[Int($0)] : -1 }
  }

  /// ``globalToLocal`` followed by the ids of `shared` experts, which every rank appends to its own.
  public func globalToLocal(shared: Int) -> [Int32] {
    globalToLocal + (0..<shared).map { Int32(localCount + $0) }
  }

  /// Int32 `[global ids + shared + 1]`: 1 where this rank has the id, 1 for shared experts, 0 at the end.
  public func mask(shared: Int = 0) -> [Int32] {
    globalToLocal(shared: shared).map { $0 >= 0 ? 1 : 0 } + [0]
  }

  /// The number of slots on this rank.
  public var localCount: Int { placement.slots(of: rank).count }

  /// Int32 `[experts]`: the first slot of each expert, numbered through all ranks.
  public var globalToPhysical: [Int32] { placement.replicas.map { Int32($0[0].rawValue) } }

  /// Int32 `[slots]`: the expert in each slot.
  public var physicalToGlobal: [Int32] { placement.logical.map { Int32($0.rawValue) } }

  /// Int32 `[local slots]`: the experts of this rank.
  public var localToGlobal: [Int32] { placement.experts(of: rank).map { Int32($0.rawValue) } }
}

extension ExpertMap: CustomStringConvertible {
  /// `local->global` pairs by ascending expert.
  public var description: String {
    globalToLocal.enumerated().filter { $0.element >= 0 }.map { "\($0.element)->\($0.offset)" }
      .joined(separator: ", ")
  }
}
