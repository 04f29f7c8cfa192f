// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

@testable import MoE
import Testing

/// The moves between two placements.
@Suite struct MigrationTests {
  /// The published vector, and shares that come out even.
  @Test(arguments: [
    ([0, 2], [1, 3, 4, 5, 6], [0, 0, 2, 2, 0]), ([4], [0, 1, 2], [4, 4, 4]), ([1, 3, 5], [0, 2], [1, 3]),
    ([1, 2], [0, 3, 4, 5], [1, 1, 2, 2]), ([0], [], []),
  ])
  func senders(holders: [Int], needy: [Int], expected: [Int]) {
    #expect(Migration.senders(holders: holders, needy: needy) == expected)
  }

  @Test func nothingMovesWhereNothingChanges() throws {
    let placement = try ExpertPlacement.initial(expertCount: 8, redundant: 4, ranks: 3)
    #expect(try Migration(from: placement, to: placement).isEmpty)
  }

  @Test func aRankThatHoldsAnExpertCopiesIt() throws {
    let old = try ExpertPlacement(physicalToLogical: [0, 1, 1, 2, 0, 1], expertCount: 3, ranks: 2)
    let new = try ExpertPlacement(physicalToLogical: [1, 0, 1, 2, 2, 2], expertCount: 3, ranks: 2)
    let migration = try Migration(from: old, to: new)
    #expect(migration.transfers.isEmpty)
    #expect(
      migration.copies.map { [$0.expert.rawValue, $0.rank, $0.from.rawValue, $0.to.rawValue] } == [
        [0, 0, 0, 1], [1, 0, 1, 0], [2, 1, 0, 1], [2, 1, 0, 2],
      ])
  }

  @Test func aLackingRankReceivesOnceAndDuplicates() throws {
    let old = try ExpertPlacement(physicalToLogical: [0, 1, 2, 3], expertCount: 4, ranks: 2)
    let new = try ExpertPlacement(physicalToLogical: [0, 1, 2, 3, 0, 0], expertCount: 4, ranks: 2)
    let migration = try Migration(from: old, to: new)
    #expect(
      migration.transfers.map { [$0.expert.rawValue, $0.sender, $0.from.rawValue, $0.receiver, $0.to.rawValue] } == [
        [0, 0, 0, 1, 1], [2, 1, 0, 0, 2],
      ])
    #expect(migration.duplicates.map { [$0.rank, $0.from.rawValue, $0.to.rawValue] } == [[1, 1, 2]])
    #expect(
      [migration, migration].traffic(bytesPerExpert: 10) == [
        LinkTraffic(sender: 0, receiver: 1, bytes: 20), LinkTraffic(sender: 1, receiver: 0, bytes: 20),
      ])
  }

  @Test func placementsOfOneLayerOnly() throws {
    let old = try ExpertPlacement.initial(expertCount: 4)
    let new = try ExpertPlacement.initial(expertCount: 5)
    expectFaults([.invalidArgument], ["expected 4 experts, found 5"]) { _ = try Migration(from: old, to: new) }
  }

  /// Carried out on marks in the place of weights, random moves leave every rank with the new placement, also where the
  /// group grows or shrinks; nobody sends to itself, and no rank receives an expert that it holds.
  @Test(arguments: 0..<60)
  func movesLeadToTheNewPlacement(seed: Int) throws {
    var generator = SplitMix64(seed: UInt64(seed))
    let experts = Int.random(in: 1...24, using: &generator)
    let old = try randomPlacement(experts, &generator)
    let new = try randomPlacement(experts, &generator)
    let migration = try Migration(from: old, to: new)
    #expect(try Migration(from: old, to: new) == migration)

    let before = (0..<max(old.rankCount, new.rankCount)).map { rank in
      rank < old.rankCount ? old.experts(of: rank).map { Optional($0) } : []
    }
    var after = before.indices.map { rank -> [LogicalExpert?] in
      let count = rank < new.rankCount ? new.slots(of: rank).count : 0
      return (0..<count).map { before[rank].indices.contains($0) ? before[rank][$0] : nil }
    }
    for copy in migration.copies { after[copy.rank][copy.to.rawValue] = before[copy.rank][copy.from.rawValue] }
    for transfer in migration.transfers {
      #expect(!before[transfer.receiver].contains(transfer.expert))
      #expect(transfer.sender != transfer.receiver)
      after[transfer.receiver][transfer.to.rawValue] = before[transfer.sender][transfer.from.rawValue]
    }
    #expect(Set(migration.transfers.map { [$0.expert.rawValue, $0.receiver] }).count == migration.transfers.count)
    for copy in migration.duplicates { after[copy.rank][copy.to.rawValue] = after[copy.rank][copy.from.rawValue] }
    for rank in 0..<new.rankCount { #expect(after[rank] == new.experts(of: rank).map { Optional($0) }) }
  }

  /// Every expert somewhere, on a few ranks.
  private func randomPlacement(_ experts: Int, _ generator: inout SplitMix64) throws -> ExpertPlacement {
    let ranks = Int.random(in: 1...6, using: &generator)
    let redundant =
      ExpertPlacement.leastRedundant(expertCount: experts, ranks: ranks)
      + ranks * Int.random(in: 0...3, using: &generator)
    let extra = (0..<redundant).map { _ in Int.random(in: 0..<experts, using: &generator) }
    return try ExpertPlacement(
      physicalToLogical: (Array(0..<experts) + extra).shuffled(using: &generator), expertCount: experts, ranks: ranks)
  }
}
