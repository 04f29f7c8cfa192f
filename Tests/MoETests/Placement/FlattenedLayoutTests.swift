// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import MoE
import Testing

/// vLLM's flattening of tensor, data and context parallelism for experts.
@Suite struct FlattenedLayoutTests {
  private func flattened(
    tp: Int = 1, dp: Int = 1, pcp: Int = 1, ranks: (tp: Int, dp: Int, pcp: Int) = (0, 0, 0), ep: Bool = false,
    sp: Bool = false
  ) throws -> ParallelLayout.Flattened {
    var engine = ParallelLayout.Engine()
    (engine.tensorParallel, engine.dataParallel, engine.contextParallel) = (tp, dp, pcp)
    (engine.tensorRank, engine.dataRank, engine.contextRank) = ranks
    (engine.usesExpertParallel, engine.isSequenceParallel) = (ep, sp)
    return try ParallelLayout.flattened(engine)
  }

  /// The examples of vLLM's own documentation.
  @Test func examples() throws {
    let cut = try flattened(tp: 2, dp: 2, ranks: (1, 1, 0))
    #expect(cut.layout.tensorParallel == 4 && cut.layout.expertParallel == 1)
    #expect(cut.layout.tensorRank == 3 && cut.layout.expertRank == 0 && !cut.usesAllToAll)
    let spread = try flattened(tp: 2, dp: 2, ranks: (0, 1, 0), ep: true)
    #expect(spread.layout.tensorParallel == 1 && spread.layout.expertParallel == 4)
    #expect(spread.layout.tensorRank == 0 && spread.layout.expertRank == 2 && spread.usesAllToAll)
    let replicated = try flattened(tp: 8, ranks: (5, 0, 0), ep: true)
    #expect(replicated.layout.expertParallel == 8 && replicated.layout.expertRank == 5 && !replicated.usesAllToAll)
  }

  @Test func oneRankUsesNoExpertParallelism() throws {
    let alone = try flattened(ep: true, sp: true)
    #expect(alone.layout == .single && !alone.usesAllToAll && alone.sequenceParallel == 1)
  }

  @Test func sequenceParallelismMakesItAllToAll() throws {
    #expect(try flattened(tp: 4, ep: true).usesAllToAll == false)
    let spread = try flattened(tp: 4, ep: true, sp: true)
    #expect(spread.usesAllToAll && spread.sequenceParallel == 4)
    #expect(try !flattened(tp: 4, sp: true).usesAllToAll)
    #expect(try flattened(pcp: 2, ep: true).usesAllToAll)
  }

  /// Every rank of the engine has one place in the flat group, data before context before tensor parallelism.
  @Test func ranksAreNumberedOnce() throws {
    var found: [Int] = []
    for dataRank in 0..<2 {
      for contextRank in 0..<3 {
        for tensorRank in 0..<4 {
          let ranks = (tensorRank, dataRank, contextRank)
          found.append(try flattened(tp: 4, dp: 2, pcp: 3, ranks: ranks, ep: true).layout.expertRank)
          #expect(try flattened(tp: 4, dp: 2, pcp: 3, ranks: ranks).layout.tensorRank == found.last)
        }
      }
    }
    #expect(found == Array(0..<24))
  }

  @Test func badSizes() {
    expectFaults([.invalidArgument, .invalidArgument], ["data parallel", "tensor parallel"]) {
      _ = try flattened(tp: 2, dp: 0, ranks: (2, 0, 0))
    }
    expectFaults([.invalidArgument], ["context parallel"]) { _ = try flattened(pcp: 1 << 20) }
  }
}
