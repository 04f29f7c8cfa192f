// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// The grid of ranks that share a layer, and this rank's place in it.
///
/// World = tensor-parallel × expert-parallel; rank = expert rank · tensor-parallel + tensor rank. Tensor-parallel ranks
/// hold slices of the same experts, expert-parallel ones hold different experts.
///
/// ```swift
/// let rank = try ParallelLayout(tensorParallel: 2, expertParallel: 4, rank: 5)
/// rank.tensorRank   // 1
/// rank.expertRank   // 2
/// ```
public struct ParallelLayout: Sendable, Hashable {
  public let tensorParallel: Int
  public let expertParallel: Int
  public let rank: Int

  /// One rank that holds everything.
  public static let single = Self(tensorParallel: 1, expertParallel: 1, uncheckedRank: 0)

  private init(tensorParallel: Int, expertParallel: Int, uncheckedRank rank: Int) {
    self.tensorParallel = tensorParallel
    self.expertParallel = expertParallel
    self.rank = rank
  }

  /// - Throws: `invalidArgument` for sizes below 1 and a rank outside the grid.
  public init(tensorParallel: Int, expertParallel: Int, rank: Int = 0) throws(MoEError) {
    let sizes = 1...Self.largestSize
    guard sizes.contains(tensorParallel), sizes.contains(expertParallel) else {
      throw MoEError(
        .invalidArgument, "no such grid of ranks", expected: "sizes of 1...\(Self.largestSize)",
        found: "tensor parallel \(tensorParallel), expert parallel \(expertParallel)")
    }
    guard (0..<tensorParallel * expertParallel).contains(rank) else {
      throw MoEError(
        .invalidArgument, "no such rank", expected: "0..<\(tensorParallel * expertParallel)", found: "\(rank)")
    }
    self.init(tensorParallel: tensorParallel, expertParallel: expertParallel, uncheckedRank: rank)
  }

  static let largestSize = 1 << 16

  public var worldSize: Int { tensorParallel * expertParallel }
  public var tensorRank: Int { rank % tensorParallel }
  public var expertRank: Int { rank / tensorParallel }

  /// The same grid seen from each of its ranks.
  public var ranks: [Self] {
    (0..<worldSize).map {
      Self(tensorParallel: tensorParallel, expertParallel: expertParallel, uncheckedRank: $0)
    }
  }
}
