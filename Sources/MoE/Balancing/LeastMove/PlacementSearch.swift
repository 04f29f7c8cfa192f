// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// A placement that is being changed slot by slot, with what a change would do to loads and to bytes moved.
///
/// Ranks of one node exchange and replicate experts only among themselves: the node of an expert never changes.
struct PlacementSearch {
  /// A change of one or two slots.
  enum Change {
    case swap(Place, Place)
    case replace(Place, with: Int)
  }

  struct Place {
    var rank: Int
    var slot: Int
  }

  /// What a change does: to the loads beyond the limit, summed over ranks, and to the number of experts that arrive.
  struct Effect {
    var excess: Double
    var arrivals: Int
  }

  let loads: [Double]
  /// The greatest load that a rank should have.
  let limit: Double
  let ranksPerNode: Int
  /// The experts of each rank's slots.
  private(set) var slots: [[Int]]
  private(set) var rankLoads: [Double]
  private(set) var counts: [Int]
  /// The load of each expert's replicas.
  private(set) var shares: [Double]
  /// The ranks of each expert, ascending, each once.
  private(set) var ranks: [[Int]]
  /// The experts that each rank has without receiving them.
  let heldExperts: [[Int]]
  /// `[ranks, experts]`: whether a rank is one of those, and the slots that an expert has on it.
  private let isHeld: [Bool]
  private var multiplicity: [Int]

  /// - Parameters:
  ///   - start: where the search starts.
  ///   - held: what ranks have without receiving it; fewer or more ranks than the start has are fine.
  init(_ start: ExpertPlacement, loads: [Double], limit: Double, ranksPerNode: Int, held: ExpertPlacement) {
    self.loads = loads
    self.limit = limit
    self.ranksPerNode = ranksPerNode
    slots = (0..<start.rankCount).map { start.experts(of: $0).map(\.rawValue) }
    counts = start.replicaCounts
    shares = zip(loads, counts).map { $0 / Double($1) }
    ranks = Array(repeating: [], count: loads.count)
    multiplicity = Array(repeating: 0, count: slots.count * loads.count)
    heldExperts = slots.indices.map { rank in
      rank < held.rankCount ? Set(held.experts(of: rank).map(\.rawValue)).sorted() : []
    }
    var isHeld = Array(repeating: false, count: multiplicity.count)
    for (rank, experts) in heldExperts.enumerated() {
      for expert in experts { isHeld[rank * loads.count + expert] = true }
    }
    self.isHeld = isHeld
    rankLoads = Array(repeating: 0, count: slots.count)
    for rank in slots.indices {
      for expert in slots[rank] { add(expert, to: rank) }
    }
    for rank in slots.indices { updateLoad(of: rank) }
  }

  /// Experts that ranks receive.
  var arrivals: Int {
    slots.indices.reduce(0) { sum, rank in
      sum + Set(slots[rank]).count { !holds(rank, $0) }
    }
  }

  func holds(_ rank: Int, _ expert: Int) -> Bool { isHeld[rank * loads.count + expert] }
  func has(_ rank: Int, _ expert: Int) -> Bool { multiplicity[rank * loads.count + expert] > 0 }
  func node(of rank: Int) -> Range<Int> {
    let first = rank / ranksPerNode * ranksPerNode
    return first..<first + ranksPerNode
  }
  func isOnNode(_ expert: Int, of rank: Int) -> Bool { ranks[expert][0] / ranksPerNode == rank / ranksPerNode }
  func expert(_ place: Place) -> Int { slots[place.rank][place.slot] }

  private func excess(_ load: Double) -> Double { max(0, load - limit) }

  /// nil for a change that changes nothing or takes the last replica of an expert.
  func effect(_ change: Change) -> Effect? {
    switch change {
    case .swap(let a, let b):
      let (first, second) = (expert(a), expert(b))
      guard a.rank != b.rank, first != second else { return nil }
      let difference = shares[first] - shares[second]
      return Effect(
        excess: excess(rankLoads[a.rank] - difference) - excess(rankLoads[a.rank])
          + excess(rankLoads[b.rank] + difference) - excess(rankLoads[b.rank]),
        arrivals: arrivals(at: a.rank, losing: first, gaining: second)
          + arrivals(at: b.rank, losing: second, gaining: first))
    case .replace(let place, let new):
      let old = expert(place)
      guard old != new, counts[old] > 1 else { return nil }
      let oldShare = loads[old] / Double(counts[old] - 1), newShare = loads[new] / Double(counts[new] + 1)
      var change = 0.0
      func add(_ rank: Int) {
        let (olds, news) = (multiplicity[rank * loads.count + old], multiplicity[rank * loads.count + new])
        let isHere = rank == place.rank ? 1 : 0
        let load =
          rankLoads[rank] + Double(olds - isHere) * oldShare - Double(olds) * shares[old]
          + Double(news + isHere) * newShare - Double(news) * shares[new]
        change += excess(load) - excess(rankLoads[rank])
      }
      // The place's rank is among those of the old expert.
      for rank in ranks[old] { add(rank) }
      for rank in ranks[new] where !has(rank, old) { add(rank) }
      return Effect(excess: change, arrivals: arrivals(at: place.rank, losing: old, gaining: new))
    }
  }

  private func arrivals(at rank: Int, losing old: Int, gaining new: Int) -> Int {
    let lost = multiplicity[rank * loads.count + old] == 1 && !holds(rank, old) ? 1 : 0
    let gained = !has(rank, new) && !holds(rank, new) ? 1 : 0
    return gained - lost
  }

  mutating func apply(_ change: Change) {
    let touched: Set<Int>
    switch change {
    case .swap(let a, let b):
      let (first, second) = (expert(a), expert(b))
      put(second, at: a)
      put(first, at: b)
      touched = [a.rank, b.rank]
    case .replace(let place, let new):
      let old = expert(place)
      let before = ranks[old] + ranks[new]
      put(new, at: place)
      counts[old] -= 1
      counts[new] += 1
      for expert in [old, new] { shares[expert] = loads[expert] / Double(counts[expert]) }
      touched = Set(before).union([place.rank])
    }
    for rank in touched { updateLoad(of: rank) }
  }

  private mutating func put(_ expert: Int, at place: Place) {
    let old = self.expert(place)
    multiplicity[place.rank * loads.count + old] -= 1
    if !has(place.rank, old) { ranks[old].removeAll { $0 == place.rank } }
    slots[place.rank][place.slot] = expert
    add(expert, to: place.rank)
  }

  private mutating func add(_ expert: Int, to rank: Int) {
    multiplicity[rank * loads.count + expert] += 1
    guard !ranks[expert].contains(rank) else { return }
    let index = ranks[expert].firstIndex { $0 > rank } ?? ranks[expert].count
    ranks[expert].insert(rank, at: index)
  }

  /// From scratch, so that rounding doesn't add up.
  private mutating func updateLoad(of rank: Int) { rankLoads[rank] = slots[rank].reduce(0) { $0 + shares[$1] } }
}
