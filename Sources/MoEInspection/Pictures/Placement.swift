// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

extension Picture {
  /// Which expert stands in which slot of which rank, before and after, and what moves.
  ///
  /// ```swift
  /// let picture = Picture.placement(
  ///   "Layer 3", before: [0, 1, 2, 3], after: [0, 1, 2, 1], ranksPerNode: 1, slotsPerRank: 2,
  ///   moves: [.init(from: 1, to: 3, bytes: 1 << 20)])
  /// ```
  ///
  /// - Parameters:
  ///   - title: what stands above it.
  ///   - subtitle: a line below that.
  ///   - before: the logical expert of each physical slot, rank after rank.
  ///   - after: likewise, or empty where nothing changes.
  ///   - ranksPerNode: ranks that stand in one box.
  ///   - slotsPerRank: slots of each rank.
  ///   - moves: the slot of `before` whose expert is copied into a slot of `after`.
  public static func placement(
    _ title: String, _ subtitle: String = "", before: [Int], after: [Int] = [], ranksPerNode: Int, slotsPerRank: Int,
    moves: [SlotMove] = []
  ) -> Self {
    let drawing = PlacementDrawing(
      before: before, after: after, ranksPerNode: max(1, ranksPerNode), slotsPerRank: max(1, slotsPerRank))
    let bytes = moves.reduce(0) { $0 + $1.bytes }
    let far = moves.count { drawing.node(ofSlot: $0.from) != drawing.node(ofSlot: $0.to) }
    let summary =
      after.isEmpty
      ? "" : "\(moves.count) move(s), \(Format.bytes(bytes)), \(far) of them between nodes"
    var picture = Self(title, [subtitle, summary].filter { !$0.isEmpty }.joined(separator: "; "))
    picture.legend = [.init(.series(0), "a slot with its expert; the same colour is the same expert")]
    if !after.isEmpty {
      picture.legend += [.init(.quiet, "a move within a node"), .init(.bad, "a move between nodes")]
    }
    picture.figures = [Figure(.diagram(drawing.diagram(moves)))]
    return picture
  }

  /// An expert that is copied into another slot.
  public struct SlotMove: Sendable, Hashable {
    public var from: Int
    public var to: Int
    public var bytes: Int

    public init(from: Int, to: Int, bytes: Int) {
      self.from = from
      self.to = to
      self.bytes = bytes
    }
  }
}

/// Nodes around ranks around slots, in two rows.
private struct PlacementDrawing {
  var before: [Int]
  var after: [Int]
  var ranksPerNode: Int
  var slotsPerRank: Int

  func node(ofSlot slot: Int) -> Int { slot / slotsPerRank / ranksPerNode }

  /// A slot is 2 wide; ranks and nodes have room around them.
  private func x(ofSlot slot: Int) -> Double {
    let rank = slot / slotsPerRank
    return 1 + Double(slot) * 2 + Double(rank) * 0.8 + Double(rank / ranksPerNode) * 1.2
  }

  func diagram(_ moves: [Picture.SlotMove]) -> Diagram {
    var boxes: [Diagram.Box] = []
    let upper = slots(before, y: 0, title: after.isEmpty ? "" : "before: ", others: [], &boxes)
    let distance = 10.0
    let lower = after.isEmpty ? [] : slots(after, y: distance, title: "after: ", others: before, &boxes)
    let arrows = moves.compactMap { move -> Diagram.Arrow? in
      guard upper.indices.contains(move.from), lower.indices.contains(move.to) else { return nil }
      let isFar = node(ofSlot: move.from) != node(ofSlot: move.to)
      return Diagram.Arrow(
        from: upper[move.from], to: lower[move.to], isFar ? .bad : .quiet,
        tip: "expert \(before[move.from]): rank \(move.from / slotsPerRank) to rank \(move.to / slotsPerRank), "
          + Format.bytes(move.bytes))
    }
    return Diagram(
      width: x(ofSlot: max(before.count, after.count) - 1) + 3, height: after.isEmpty ? 5 : distance + 5,
      boxes: boxes,
      arrows: arrows)
  }

  /// - Parameter others: what the slots held before, to flag what changes.
  /// - Returns: the box of each slot.
  private func slots(
    _ experts: [Int], y: Double, title: String, others: [Int], _ boxes: inout [Diagram.Box]
  ) -> [Int] {
    let perNode = slotsPerRank * ranksPerNode
    for first in stride(from: 0, to: experts.count, by: perNode) {
      let last = min(first + perNode, experts.count) - 1
      boxes.append(
        .init(
          x(ofSlot: first) - 0.8, y, x(ofSlot: last) - x(ofSlot: first) + 3.6, 4.6, "\(title)node \(first / perNode)",
          .outline))
    }
    for first in stride(from: 0, to: experts.count, by: slotsPerRank) {
      let last = min(first + slotsPerRank, experts.count) - 1
      boxes.append(
        .init(
          x(ofSlot: first) - 0.3, y + 1, x(ofSlot: last) - x(ofSlot: first) + 2.6, 2.9, "rank \(first / slotsPerRank)",
          .outline))
    }
    return experts.enumerated().map { slot, expert in
      let isNew = others.indices.contains(slot) && others[slot] != expert
      let old = isNew ? ", was expert \(others[slot])" : ""
      boxes.append(
        .init(
          x(ofSlot: slot), y + 2.1, 1.9, 1.2, "\(expert)", .series(expert),
          tip: "slot \(slot) of rank \(slot / slotsPerRank): expert \(expert)\(old)", isFlagged: isNew))
      return boxes.count - 1
    }
  }
}
