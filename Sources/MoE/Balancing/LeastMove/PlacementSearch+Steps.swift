// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

extension PlacementSearch {
  /// Brings ranks below the limit: always the busiest one, by the change that takes the most excess for an arrival.
  ///
  /// - Returns: whether all ranks are below the limit now.
  mutating func repair() -> Bool {
    // Each change takes excess away, so this ends; the bound only cuts off very small steps.
    for _ in 0..<4 * slots.count * (slots.first?.count ?? 0) {
      let busiest = rankLoads.indices.max { (rankLoads[$0], $1) < (rankLoads[$1], $0) }!
      guard rankLoads[busiest] > limit else { return true }
      var best: (change: Change, gain: Double, price: Int)?
      eachRelief(of: busiest) { change in
        guard let effect = effect(change), effect.excess < -1e-9 * limit else { return }
        let (gain, price) = (-effect.excess, max(0, effect.arrivals))
        if let best {
          // Gain for price against gain for price; what is free beats what isn't.
          let (this, other) = (gain * Double(best.price), best.gain * Double(price))
          guard this > other || this == other && gain > best.gain else { return }
        }
        best = (change, gain, price)
      }
      guard let best else { return false }
      apply(best.change)
    }
    return rankLoads.allSatisfy { $0 <= limit }
  }

  /// The changes that can make a rank less busy: experts swapped for lighter ones of others, replaced by replicas of
  /// others, and replicated elsewhere in the place of a replica.
  private func eachRelief(of rank: Int, _ body: (Change) -> Void) {
    let node = node(of: rank)
    for (slot, expert) in slots[rank].enumerated() where slots[rank].firstIndex(of: expert) == slot {
      let place = Place(rank: rank, slot: slot)
      for other in node where other != rank {
        for (otherSlot, otherExpert) in slots[other].enumerated() {
          let otherPlace = Place(rank: other, slot: otherSlot)
          if shares[otherExpert] < shares[expert] { body(.swap(place, otherPlace)) }
          if counts[otherExpert] > 1 { body(.replace(otherPlace, with: expert)) }
        }
      }
      guard counts[expert] > 1 else { continue }
      for new in loads.indices where isOnNode(new, of: rank) { body(.replace(place, with: new)) }
    }
  }

  /// Takes arrivals back as long as all ranks stay below the limit.
  mutating func relax() {
    var isDone = false
    while !isDone {
      isDone = true
      for rank in slots.indices {
        for slot in slots[rank].indices where !holds(rank, slots[rank][slot]) {
          guard let change = bestReturn(Place(rank: rank, slot: slot)) else { continue }
          apply(change)
          isDone = false
        }
      }
    }
  }

  /// A change of a slot, to an expert that its rank held, that saves arrivals and breaks no limit: the first of those that
  /// save the most.
  private func bestReturn(_ place: Place) -> Change? {
    var best: (change: Change, arrivals: Int)?
    for expert in heldExperts[place.rank] where !has(place.rank, expert) && isOnNode(expert, of: place.rank) {
      for change in [.replace(place, with: expert)] + swaps(place, for: expert) {
        guard let effect = effect(change), effect.excess <= 0, effect.arrivals < best?.arrivals ?? 0 else { continue }
        best = (change, effect.arrivals)
      }
    }
    return best?.change
  }

  private func swaps(_ place: Place, for expert: Int) -> [Change] {
    ranks[expert].flatMap { other in
      slots[other].indices.filter { slots[other][$0] == expert }.map { .swap(place, Place(rank: other, slot: $0)) }
    }
  }
}
