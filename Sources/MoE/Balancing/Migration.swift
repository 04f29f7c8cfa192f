// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// What has to move so that the ranks of one layer hold another placement.
///
/// A pure function of two placements: every rank computes the same moves and takes its own. Slots are local ones, counted
/// from the first of their rank, in the old placement where bytes come from and in the new one where they go to.
///
/// ```swift
/// let old = try ExpertPlacement(physicalToLogical: [0, 1, 2, 3], expertCount: 4, ranks: 2)
/// let new = try ExpertPlacement(physicalToLogical: [0, 2, 1, 3], expertCount: 4, ranks: 2)
/// try Migration(from: old, to: new).transfers   // expert 1: 0 → 1, expert 2: 1 → 0
/// ```
///
/// **Order.** ``copies`` and ``transfers`` read what the slots held *before*: stage what they bring and store it when all
/// of them have read. ``duplicates`` then read what arrived.
///
/// **Senders.** An expert that ranks lack comes from those that hold it, in equal shares (section *Migration* of
/// `docs/balancing.md`); nobody receives an expert twice, and nobody one that it holds.
///
/// The placements may have different numbers of ranks, when the group grows or shrinks: ranks are those of the larger
/// group, and one that a placement doesn't have holds nothing in it.
public struct Migration: Sendable, Hashable {
  /// An expert from one slot of a rank to another of the same rank.
  public struct Copy: Sendable, Hashable {
    public let expert: LogicalExpert
    public let rank: Int
    public let from: LocalExpert
    public let to: LocalExpert
  }

  /// An expert from a slot of one rank to a slot of another.
  public struct Transfer: Sendable, Hashable {
    public let expert: LogicalExpert
    public let sender: Int
    public let from: LocalExpert
    public let receiver: Int
    public let to: LocalExpert
  }

  /// Experts that a rank holds already, from their first old slot to slots that held something else.
  public let copies: [Copy]
  /// Experts that ranks lack, each to the first of its slots there: by expert, then by receiver.
  public let transfers: [Transfer]
  /// Further slots of a transferred expert, from the slot that received it.
  public let duplicates: [Copy]

  public var isEmpty: Bool { copies.isEmpty && transfers.isEmpty }

  /// - Throws: `invalidArgument` when the placements are of different numbers of experts.
  public init(from old: ExpertPlacement, to new: ExpertPlacement) throws(MoEError) {
    guard old.expertCount == new.expertCount else {
      throw MoEError(
        .invalidArgument, "the placements are not of the same layer", expected: "\(old.expertCount) experts",
        found: "\(new.expertCount)")
    }
    var copies: [Copy] = []
    var transfers: [Transfer] = []
    var duplicates: [Copy] = []
    for index in 0..<old.expertCount {
      let expert = LogicalExpert(rawValue: index)
      let held = SlotsByRank(expert, in: old)
      let wanted = SlotsByRank(expert, in: new)
      for (rank, slots) in zip(wanted.ranks, wanted.slots) {
        guard let source = held[rank] else { continue }
        for slot in slots where !source.contains(slot) {
          copies.append(Copy(expert: expert, rank: rank, from: source[0], to: slot))
        }
      }
      let needy = wanted.ranks.filter { held[$0] == nil }
      for (sender, receiver) in zip(Self.senders(holders: held.ranks, needy: needy), needy) {
        let slots = wanted[receiver]!
        transfers.append(
          Transfer(expert: expert, sender: sender, from: held[sender]![0], receiver: receiver, to: slots[0]))
        duplicates += slots.dropFirst().map { Copy(expert: expert, rank: receiver, from: slots[0], to: $0) }
      }
    }
    self.copies = copies
    self.transfers = transfers
    self.duplicates = duplicates
  }

  /// Who sends to each of the needy: holder `i` serves the `i`-th run of ⌊needy / holders⌋ of them, and the first holders
  /// one each of the rest.
  static func senders(holders: [Int], needy: [Int]) -> [Int] {
    let share = needy.count / holders.count
    let shared = share * holders.count
    return needy.indices.map { holders[$0 < shared ? $0 / share : $0 - shared] }
  }
}

/// The local slots of one expert, on the ranks that have one.
private struct SlotsByRank {
  /// Ascending.
  var ranks: [Int] = []
  /// Of each of the ranks, ascending.
  var slots: [[LocalExpert]] = []

  init(_ expert: LogicalExpert, in placement: ExpertPlacement) {
    for slot in placement.replicas[expert.rawValue] {
      let rank = placement.rank(of: slot)
      if ranks.last != rank {
        ranks.append(rank)
        slots.append([])
      }
      slots[slots.count - 1].append(placement.local(slot))
    }
  }

  subscript(rank: Int) -> [LocalExpert]? { ranks.firstIndex(of: rank).map { slots[$0] } }
}
