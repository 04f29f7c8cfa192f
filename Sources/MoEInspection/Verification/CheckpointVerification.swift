// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Checkpoints
public import MoE
internal import Synchronization
internal import Tensors

/// Compares the experts of a checkpoint with those of the one it was made from: which of them are damaged, and how.
///
/// ```swift
/// let report = try CheckpointVerification().run(on: "GLM-5-NVFP4", against: "GLM-5")
/// for matrix in report.suspects { print(matrix.place, matrix.decibels, matrix.diagnosis?.text ?? "") }
/// ```
///
/// Formats, layouts and containers of the two may differ. Rows are read in blocks on the workers of a pool: memory holds a
/// block of both for each. Suspects are read once more, whole.
public struct CheckpointVerification: Sendable {
  /// How much weights may differ.
  public enum Requirement: Sendable, Hashable {
    /// As much as rounding to the formats moves them.
    case format
    /// By so many steps of the format; 0 for equal numbers.
    case steps(Int)
  }

  /// What layers are run on, to compare their outputs.
  public enum Inputs: Sendable {
    /// Draws from N(0, 1).
    case random(tokens: Int, seed: UInt64 = 0)
    /// Hidden states `[tokens, hidden]`.
    case given([Float])

    func hidden(_ layer: MoEModel.Layer) -> [Float] {
      switch self {
      case .given(let values): return values
      case .random(let tokens, let seed):
        var generator = SplitMix64(seed: seed &+ UInt64(layer.index))
        return (0..<tokens * layer.hiddenSize).map { _ in Float(generator.normal()) }
      }
    }
  }

  /// The layers to compare; all when nil.
  public var layers: Set<Int>?
  /// The routed experts to compare; all when nil.
  public var experts: Set<Int>?
  public var requirement: Requirement
  /// What layers are run on, too; nil where only weights are compared. It takes the memory of a layer.
  public var inputs: Inputs?
  /// Whether the report's picture has the histogram of each matrix.
  public var hasHistograms: Bool
  public var registry: ArchitectureRegistry

  public init(
    layers: Set<Int>? = nil, experts: Set<Int>? = nil, requirement: Requirement = .format, inputs: Inputs? = nil,
    hasHistograms: Bool = false, registry: ArchitectureRegistry = .standard
  ) {
    self.layers = layers
    self.experts = experts
    self.requirement = requirement
    self.inputs = inputs
    self.hasHistograms = hasHistograms
    self.registry = registry
  }

  /// - Parameters:
  ///   - path: what is verified: a folder, a safetensors file with `config.json` beside it, or a GGUF file.
  ///   - original: what it was made from, likewise.
  ///   - pool: the workers that read and compare.
  ///   - progress: called with the bytes that were read and those to read, from any worker, one call at a time.
  /// - Throws: what opening throws, `unmatched` where they aren't the same experts, and what reading throws.
  public func run(
    on path: String, against original: String, pool: WorkerPool = .shared,
    progress: (@Sendable (Int, Int) -> Void)? = nil
  ) throws(MoEError) -> VerificationReport {
    let paths = [path, original]
    let models = try pool.tryMap(paths.count) { (index) throws(MoEError) in
      try MoEModel(opening: paths[index], layers: layers, registry: registry)
    }
    return try run(VerificationPair(models[0], against: models[1], experts: experts), pool, progress)
  }

  private func run(
    _ pair: VerificationPair, _ pool: WorkerPool, _ progress: (@Sendable (Int, Int) -> Void)?
  ) throws(MoEError) -> VerificationReport {
    let steps: Bool = if case .steps = requirement { true } else { false }
    let comparer = MatrixComparer(pair, countsSteps: steps, hasHistograms: hasHistograms)
    let work = pair.items.enumerated().flatMap { item, value in
      value.matrices.indices.map { (item: item, matrix: $0) }
    }
    let total = pair.byteCount
    let read = Mutex(0)
    let results = try pool.tryMap(work.count) { (index) throws(MoEError) in
      let item = pair.items[work[index].item]
      let matrices = item.matrices[work[index].matrix]
      let result = try comparer.compare(item.place, matrices)
      read.withLock {
        $0 += matrices.byteCount
        progress?($0, total)
      }
      return result
    }
    var report = VerificationReport(pair, results.map(\.verification), requirement)
    report.tensors = try TensorVerification.all(pair, pool)
    if let inputs {
      report.outputs = try OutputComparer(pair, inputs, report.matrices, on: CPUBackend(pool: pool)).run()
    }
    try SuspectExamination(comparer, work, results.map(\.fingerprint)).run(&report, pool)
    return report
  }
}
