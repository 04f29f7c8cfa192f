// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Tensors

extension ParallelLayout {
  /// The sizes that an engine was started with, and a rank's place in each: what vLLM calls tp, dp and pcp.
  public struct Engine: Sendable, Hashable {
    public var tensorParallel = 1
    public var tensorRank = 0
    public var dataParallel = 1
    public var dataRank = 0
    /// Prefill context parallel.
    public var contextParallel = 1
    public var contextRank = 0
    /// Whether experts are spread over the ranks instead of cut.
    public var usesExpertParallel = false
    /// Whether the tokens between the layers are spread over the tensor-parallel ranks.
    public var isSequenceParallel = false

    public init() {}
  }

  /// The grid that vLLM makes of an engine's sizes for its experts (`FusedMoEParallelConfig`).
  public struct Flattened: Sendable, Hashable {
    public var layout: ParallelLayout
    /// The ranks that the tokens between the layers are spread over, beside data and context parallelism.
    public var sequenceParallel: Int
    /// Whether rows go to the ranks that own their experts; else every rank has all tokens, and outputs are added up.
    public var usesAllToAll: Bool
  }

  /// Experts know one axis: data-, context- and tensor-parallel ranks in this order are one flat group of
  /// dp · pcp · tp, over which experts are spread (with expert parallelism) or each cut (without).
  ///
  /// ```swift
  /// var engine = ParallelLayout.Engine()
  /// (engine.tensorParallel, engine.dataParallel) = (2, 2)
  /// try ParallelLayout.flattened(engine).layout          // tensor parallel 4: each expert is cut four-way
  /// engine.usesExpertParallel = true
  /// try ParallelLayout.flattened(engine).layout          // expert parallel 4
  /// ```
  ///
  /// - Throws: `invalidArgument` for sizes below 1 and ranks outside of them, all at once.
  public static func flattened(_ engine: Engine) throws(MoEError) -> Flattened {
    let axes = [
      ("data parallel", engine.dataParallel, engine.dataRank),
      ("context parallel", engine.contextParallel, engine.contextRank),
      ("tensor parallel", engine.tensorParallel, engine.tensorRank),
    ]
    let faults = axes.filter { !(1...largestSize).contains($0.1) || !(0..<max(1, $0.1)).contains($0.2) }
      .map { name, size, rank in
        Fault(
          .invalidArgument, "no such rank of an engine", subject: name,
          expected: "a size of 1...\(largestSize) and a rank below it", found: "rank \(rank) of \(size)")
      }
    guard faults.isEmpty else { throw MoEError(faults) }
    let size = axes.reduce(1) { $0 * $1.1 }
    let rank = axes.reduce(0) { $0 * $1.1 + $1.2 }
    let spreads = size > 1 && engine.usesExpertParallel
    let sequenceParallel = engine.isSequenceParallel ? engine.tensorParallel : 1
    return Flattened(
      layout: try ParallelLayout(
        tensorParallel: spreads ? 1 : size, expertParallel: spreads ? size : 1, rank: rank),
      sequenceParallel: sequenceParallel,
      usesAllToAll: spreads && (engine.dataParallel > 1 || engine.contextParallel > 1 || sequenceParallel > 1))
  }
}
