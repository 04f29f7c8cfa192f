// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import MoE
import Tensors
import Testing

/// Loads cut over ranks: together the ranks have what one rank has, and read nothing that isn't theirs.
@Suite struct ParallelLoadTests {
  @Test(arguments: StoredLayout.allCases, [1, 2, 3])
  func everyLayout(stored: StoredLayout, tensorParallel: Int) throws {
    let test = ExpertsCase(experts: 5, hidden: 10, intermediate: 7, hasBias: true)
    let (fixture, registry) = stored.checkpoint(RandomExperts(test.specification, seed: 1))
    let folder = try TemporaryFolder()
    try fixture.write(to: folder.path)
    let model = try MoEModel(opening: folder.path, registry: registry)
    for expertParallel in [1, 2, 3, 7] {
      for redundant in [0, expertParallel - (5 + expertParallel) % expertParallel] where redundant >= 0 {
        try checkParallelLoad(
          model.layer(0).experts, of: model.checkpoint.catalog, tensorParallel: tensorParallel,
          expertParallel: expertParallel, redundant: (5 + redundant) % expertParallel == 0 ? redundant : 0)
      }
    }
  }
}

/// Checks that the shares of all ranks give the whole, and that each rank reads its own bytes and no other.
func checkParallelLoad(
  _ source: ExpertSource, of catalog: TensorCatalog, tensorParallel: Int, expertParallel: Int, redundant: Int = 0,
  _ location: SourceLocation = #_sourceLocation
) throws {
  let whole = try LoadPlan(source, on: ReferenceBackend())
  var expected: [[ExpertTensor]] = []
  for slot in whole.slots { expected.append(try whole.values(of: slot, from: catalog)) }
  let placement = try ExpertPlacement.initial(
    expertCount: source.specification.expertCount, redundant: redundant, ranks: expertParallel)
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
      let expert = plans[0].slots[index].expert
      var shares: [[ExpertTensor]] = []
      for plan in plans { shares.append(try plan.values(of: plan.slots[index], from: catalog)) }
      #expect(joined(shares) == expected[expert.rawValue], "expert \(expert.rawValue)", sourceLocation: location)
      checkBytes(plans.map { $0.slots[index] }, against: whole.slots[expert.rawValue], location)
      loaded.insert(expert)
    }
  }
  #expect(loaded.count == source.specification.expertCount, sourceLocation: location)
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
