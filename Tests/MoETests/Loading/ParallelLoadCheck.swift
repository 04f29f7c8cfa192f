// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import MoE
import Tensors
import Testing

/// Checks that the shares of all ranks give the whole, and that each rank reads its own bytes and no other.
final class ParallelLoadCheck {
  let source: ExpertSource
  let catalog: TensorCatalog
  let whole: LoadPlan
  let expected: [[ExpertTensor]]
  /// What was found right: the reads of every tensor rank for an expert. The same reads give the same values.
  private var checked: Set<[[Transfer.Read]]> = []

  init(_ source: ExpertSource, of catalog: TensorCatalog) throws {
    self.source = source
    self.catalog = catalog
    let whole = try LoadPlan(source, on: ReferenceBackend())
    self.whole = whole
    expected = try whole.slots.map { try whole.values(of: $0, from: catalog) }
  }

  /// - Parameter isRedundant: whether there are replicas: the least number above 0 that divides.
  func callAsFunction(
    tensorParallel: Int, expertParallel: Int, isRedundant: Bool, _ location: SourceLocation = #_sourceLocation
  ) throws {
    let count = source.specification.expertCount
    let redundant = isRedundant ? expertParallel - count % expertParallel : 0
    let placement = try ExpertPlacement.initial(expertCount: count, redundant: redundant, ranks: expertParallel)
    let grid = try ParallelLayout(tensorParallel: tensorParallel, expertParallel: expertParallel)
    var found: [Int: [LoadPlan]] = [:]
    for rank in grid.ranks {
      let plan = try LoadPlan(source, on: ReferenceBackend(), as: rank, placement: placement)
      found[rank.expertRank, default: []].append(plan)
      #expect(plan.slots.map(\.expert) == Array(placement.experts(of: rank.expertRank)), sourceLocation: location)
    }
    var loaded: Set<LogicalExpert> = []
    for plans in found.values {
      for index in plans[0].slots.indices {
        let slots = plans.map { $0.slots[index] }
        loaded.insert(slots[0].expert)
        guard checked.insert(slots.map { $0.transfers.flatMap(\.reads) }).inserted else { continue }
        try check(slots, plans, location)
      }
    }
    #expect(loaded.count == count, sourceLocation: location)
  }
}

extension ParallelLoadCheck {
  /// The shares of one expert.
  private func check(_ slots: [LoadPlan.Slot], _ plans: [LoadPlan], _ location: SourceLocation) throws {
    let expert = slots[0].expert.rawValue
    var shares: [[ExpertTensor]] = []
    for (slot, plan) in zip(slots, plans) { shares.append(try plan.values(of: slot, from: catalog)) }
    #expect(joined(shares) == expected[expert], "expert \(expert)", sourceLocation: location)
    checkBytes(slots, against: whole.slots[expert], location)
  }
}

/// The rows of gate and up one after the other, the columns of down side by side, the bias of down summed.
private func joined(_ shares: [[ExpertTensor]]) -> [ExpertTensor] {
  shares[0].indices.map { index in
    let parts = shares.map { $0[index] }
    var tensor = parts[0]
    guard tensor.projection == .down else {
      tensor.rows = parts.reduce(0) { $0 + $1.rows }
      tensor.values = parts.flatMap(\.values)
      return tensor
    }
    guard tensor.role == .weight else {
      tensor.values = tensor.values.indices.map { row in parts.reduce(0) { $0 + $1.values[row] } }
      return tensor
    }
    tensor.columns = parts.reduce(0) { $0 + $1.columns }
    tensor.values = (0..<tensor.rows).flatMap { row in
      parts.flatMap { $0.values[row * $0.columns..<(row + 1) * $0.columns] }
    }
    return tensor
  }
}

/// Every byte of the whole is read by a rank; by more than one only where ranks share a step of an axis, or an axis is
/// not cut.
private func checkBytes(_ shares: [LoadPlan.Slot], against whole: LoadPlan.Slot, _ location: SourceLocation) {
  func bytes(_ slot: LoadPlan.Slot) -> [MatrixSource.Piece: [Range<Int>]] {
    var bytes: [MatrixSource.Piece: [Range<Int>]] = [:]
    for read in slot.transfers.flatMap(\.reads) { bytes[read.piece, default: []] += read.runs.flatMap(\.ranges) }
    return bytes
  }
  let all = bytes(whole)
  let parts = shares.map(bytes)
  for (piece, ranges) in all {
    let read = parts.flatMap { $0[piece] ?? [] }
    #expect(read.united == ranges.united, "\(piece.tensor.name)", sourceLocation: location)
    let isDown = whole.transfers.contains { transfer in
      transfer.source.pieces.contains(piece) && transfer.source.parts.contains { $0.projection == .down }
    }
    let isCut = piece.axes.contains { axis in
      axis.step == 1 && axis.entries == 1 && axis.extent == (isDown ? .columns : .rows)
    }
    guard isCut else { continue }
    let count = read.reduce(0) { $0 + $1.count }
    #expect(count == piece.byteCount, "\(piece.tensor.name) is read more than once", sourceLocation: location)
  }
}
