// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import MoE

/// The ranks that share a layer, in the grid of its ``ParallelLayout``, and the groups in which they exchange.
///
/// ```swift
/// let grid = try RankGrid(world, tensorParallel: 2, expertParallel: 4)      // of 8 ranks
/// grid.experts     // the 4 ranks that together have all experts (of this rank's slice)
/// grid.tensor      // the 2 ranks that together have this rank's experts whole
/// ```
public struct RankGrid<C: Communicator>: Sendable where C.Buffer == HostBuffer {
  public let layout: ParallelLayout
  /// All ranks of the grid.
  public let world: C
  /// The ranks with other experts, by their expert rank.
  public let experts: C
  /// The ranks with other slices of the same experts, by their tensor rank.
  public let tensor: C

  /// - Throws: `invalidArgument` on every rank when the grid is not as large as the world.
  public init(_ world: C, tensorParallel: Int, expertParallel: Int) throws(MoEError) {
    let grid = try ParallelLayout(tensorParallel: tensorParallel, expertParallel: expertParallel)
    guard grid.worldSize == world.size else {
      throw MoEError(
        .invalidArgument, "the grid of ranks is not as large as the world",
        expected: "\(tensorParallel) tensor parallel × \(expertParallel) expert parallel = \(grid.worldSize) rank(s)",
        found: "\(world.size)")
    }
    layout = grid.ranks[world.rank]
    self.world = world
    experts = try world.split(color: layout.tensorRank)
    tensor = try world.split(color: layout.expertRank)
  }

  private init(layout: ParallelLayout, world: C, experts: C, tensor: C) {
    self.layout = layout
    self.world = world
    self.experts = experts
    self.tensor = tensor
  }

  /// The grid of experts that every token visits: slices on the tensor-parallel ranks, the same on all expert ranks.
  func shared() throws(MoEError) -> Self {
    Self(
      layout: try ParallelLayout(
        tensorParallel: layout.tensorParallel, expertParallel: 1, rank: layout.tensorRank),
      world: tensor, experts: try world.split(color: world.rank), tensor: tensor)
  }
}

/// How tokens and results travel between the ranks that share the experts.
public enum Dispatch: Sendable, Hashable {
  /// Every rank has all tokens and computes those of its experts. The rows of a token's slots go to one rank, which adds
  /// them up in slot order: the bits of one process.
  case allTokens
  /// Every rank has all tokens and adds up what it computed; the sums are added over the ranks. Cheaper with many slots
  /// on few ranks, and within the rounding of 32 bits.
  case allReduce
  /// Every rank has tokens of its own. Their rows go to the ranks that have their experts, once to each, and the results
  /// come back: the bits of one process.
  case allToAll
}
