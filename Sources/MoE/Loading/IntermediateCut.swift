// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Tensors

/// How the intermediate size is cut over the tensor-parallel ranks: rows of gate and up, columns of down.
///
/// Nothing is dropped, whatever the sizes. Where equal shares would cut inside blocks that share a scale, there are two
/// lossless ways: refine the grid of scales to the greatest common divisor (each scale is repeated), or cut between
/// blocks, which gives some ranks more than others. The one that costs the largest rank fewer bytes is taken.
public struct IntermediateCut: Sendable, Hashable {
  /// What each rank keeps.
  public let ranges: [Range<Int>]
  /// What a user should know about it.
  public let note: String?

  /// - Parameter encoding: what the weights are quantised to while they load; nil where they stay what they are.
  /// - Throws: `invalidArgument` when there are more ranks than there is to cut.
  init(
    _ source: ExpertSource, over ranks: Int, encoding: (any QuantizationScheme)? = nil
  ) throws(MoEError) {
    let size = source.specification.intermediateSize
    guard ranks <= size else {
      throw MoEError(
        .invalidArgument, "tensor parallel \(ranks) leaves ranks without a share of the intermediate size \(size)",
        expected: "at most \(size)", found: "\(ranks)", remedy: "expert parallel \(ranks) costs nothing")
    }
    let block =
      encoding.map {
        leastCommonMultiple($0.step(along: .rows, of: size), $0.step(along: .columns, of: size))
      } ?? Self.block(source)
    guard ranks > 1, size % ranks != 0 || size / ranks % block != 0 else {
      ranges = Self.ranges(size: size, unit: 1, ranks: ranks)
      note = nil
      return
    }
    let bits = encoding?.parameters.bits ?? source.formats.values.map(\.parameters.bits).max() ?? 16
    /// Bits of a row of weights with a scale of 16 bits for each group.
    func cost(_ count: Int, group: Int) -> Int { count * bits + (count + group - 1) / group * 16 }

    let shares = Self.ranges(size: size, unit: 1, ranks: ranks)
    let fine = shares.reduce(block) { greatestCommonDivisor($0, $1.lowerBound) }
    let blocks = Self.ranges(size: size, unit: block, ranks: ranks)
    let (refined, whole) = (shares[0].count, blocks[0].count)
    if blocks.contains(where: \.isEmpty) || cost(refined, group: fine) <= cost(whole, group: block) {
      ranges = shares
      note =
        block == 1
        ? "tensor parallel \(ranks) does not divide the intermediate size \(size): ranks keep "
          + "\(shares[ranks - 1].count) to \(refined)"
        : "tensor parallel \(ranks) cuts the intermediate size \(size) inside blocks of \(block): refined to \(fine), "
          + "lossless (whole blocks would need \(whole) in place of \(refined) on the largest rank; expert parallel "
          + "\(ranks) costs nothing)"
    } else {
      ranges = blocks
      note =
        "tensor parallel \(ranks) cuts the intermediate size \(size) between blocks of \(block): the largest rank "
        + "keeps \(whole) (equal shares of \(refined) would need scales for every \(fine); expert parallel \(ranks) "
        + "costs nothing)"
    }
  }

  /// The least number of rows of gate and up, and of columns of down, that no stored step crosses.
  private static func block(_ source: ExpertSource) -> Int {
    var block = 1
    for matrix in source.experts.first ?? [] {
      let isDown = matrix.parts.contains { $0.projection == .down }
      for axis in matrix.pieces.flatMap(\.axes) where axis.extent == (isDown ? .columns : .rows) {
        // A step that is longer than the matrix is no block of it.
        guard axis.step <= (isDown ? matrix.columns : matrix.rows) else { continue }
        block = leastCommonMultiple(block, axis.step)
      }
    }
    return block
  }

  /// `size` in units, the first ranks one more where they don't divide.
  private static func ranges(size: Int, unit: Int, ranks: Int) -> [Range<Int>] {
    let units = (size + unit - 1) / unit
    return (0..<ranks).map { rank in
      func start(_ rank: Int) -> Int { min(size, (rank * (units / ranks) + min(rank, units % ranks)) * unit) }
      return start(rank)..<start(rank + 1)
    }
  }
}
