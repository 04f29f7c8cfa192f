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
///
/// Ranks beyond the grid are spare: they take part in migrations, by which the grid may grow over them.
public struct RankGrid<C: Communicator>: Sendable where C.Buffer == HostBuffer {
  /// The grid, and this rank's place in it; nil on a spare rank.
  public let layout: ParallelLayout?
  public let tensorParallel: Int
  public let expertParallel: Int
  /// All ranks, the spare ones too.
  public let world: C
  /// The ranks of the grid; on a spare rank, the spare ones.
  public let members: C
  /// The members with other experts and the same slice, by their expert rank.
  public let experts: C
  /// The ranks with other slices of the same experts, by their tensor rank.
  public let tensor: C
  /// As ``experts``, with the spare ranks after them.
  let column: C
  /// This rank.
  private let alone: C

  /// - Parameter withSpares: whether the world may be larger than the grid.
  /// - Throws: `invalidArgument` on every rank when the grid is not as large as the world.
  public init(
    _ world: C, tensorParallel: Int, expertParallel: Int, withSpares: Bool = false
  ) throws(MoEError) {
    let grid = try ParallelLayout(tensorParallel: tensorParallel, expertParallel: expertParallel)
    guard grid.worldSize == world.size || (withSpares && grid.worldSize < world.size) else {
      throw MoEError(
        .invalidArgument, "the grid of ranks is not as large as the world",
        expected: "\(tensorParallel) tensor parallel × \(expertParallel) expert parallel = \(grid.worldSize) rank(s)",
        found: "\(world.size)", remedy: "start \(grid.worldSize) ranks, or choose a grid of \(world.size)")
    }
    let isMember = world.rank < grid.worldSize
    layout = isMember ? grid.ranks[world.rank] : nil
    self.tensorParallel = tensorParallel
    self.expertParallel = expertParallel
    self.world = world
    members = try world.split(color: isMember ? 0 : 1)
    experts = try members.split(color: world.rank % tensorParallel)
    tensor = try world.split(color: world.rank / tensorParallel)
    column = try world.split(color: world.rank % tensorParallel)
    alone = try world.split(color: world.rank)
  }

  private init(layout: ParallelLayout, tensor: C, alone: C) {
    (tensorParallel, expertParallel) = (layout.tensorParallel, layout.expertParallel)
    self.layout = layout
    (world, members, self.tensor) = (tensor, tensor, tensor)
    (experts, column, self.alone) = (alone, alone, alone)
  }

  /// The grid of experts that every token visits: slices on the tensor-parallel ranks, the same for all expert ranks.
  func shared() throws(MoEError) -> Self {
    Self(
      layout: try ParallelLayout(
        tensorParallel: tensorParallel, expertParallel: 1, rank: world.rank % tensorParallel),
      tensor: tensor, alone: alone)
  }

  /// The place of a member.
  func seat(_ rank: Int) throws(MoEError) -> ParallelLayout {
    try ParallelLayout(tensorParallel: tensorParallel, expertParallel: expertParallel, rank: rank)
  }

  /// The same ranks in a grid of another expert-parallel size. Called on all ranks, the spare ones too.
  func resized(expertParallel: Int) throws(MoEError) -> Self {
    try Self(world, tensorParallel: tensorParallel, expertParallel: expertParallel, withSpares: true)
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
