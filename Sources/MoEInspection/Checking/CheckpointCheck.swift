// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Checkpoints
public import MoE
internal import Tensors

/// Proves that the experts of a checkpoint are whole: every tensor once, of the declared shape and type, with values that
/// mean something.
///
/// ```swift
/// let report = CheckpointCheck().run(on: "Qwen3-30B-A3B-FP8")
/// for finding in report.findings { print(finding.severity, finding.place, finding.fault) }
/// print(report.isWhole)
/// ```
///
/// Values are read expert by expert on the workers of a pool: memory holds one matrix for each.
public struct CheckpointCheck: Sendable {
  /// The layers to check; all when nil.
  public var layers: Set<Int>?
  /// Whether values are read, besides headers.
  public var readsValues: Bool
  public var registry: ArchitectureRegistry

  public init(layers: Set<Int>? = nil, readsValues: Bool = true, registry: ArchitectureRegistry = .standard) {
    self.layers = layers
    self.readsValues = readsValues
    self.registry = registry
  }

  /// Faults of one layer that are listed: more than the tensors of any.
  private static let faultLimit = 1 << 16

  /// - Parameters:
  ///   - path: a folder, a safetensors file with `config.json` beside it, or a GGUF file.
  ///   - pool: the workers that read values.
  ///   - progress: called after each expert with the bytes read and those to read, from any worker, one call at a time.
  public func run(
    on path: String, pool: WorkerPool = .shared, progress: (@Sendable (Int, Int) -> Void)? = nil
  ) -> CheckReport {
    var report = CheckReport(
      path: path, architecture: nil, layers: [], findings: [], bytesRead: 0, weightCount: 0)
    do throws(CheckpointError) {
      let checkpoint = try Checkpoint(opening: path)
      check(checkpoint, &report, pool, progress)
    } catch {
      report.findings = error.faults.map { Finding(.error, $0) }
    }
    report.findings.sort(by: Self.precedes)
    return report
  }

  private func check(
    _ checkpoint: Checkpoint, _ report: inout CheckReport, _ pool: WorkerPool,
    _ progress: (@Sendable (Int, Int) -> Void)?
  ) {
    let survey = MoEModel.Survey(checkpoint, layers: layers, registry: registry, faultLimit: Self.faultLimit)
    report.architecture = survey.architecture
    report.findings += survey.faults.map { Finding(.error, $0.fault, at: $0.place) }
    report.findings += survey.notes.map { Finding(.note, Fault(.remark, $0)) }
    report.findings += IgnoreList.findings(of: checkpoint)
    report.layers = survey.outlines.map { outline in
      let layer = survey.layers.first { $0.index == outline.index }
      return CheckReport.Layer(
        index: outline.index, prefix: outline.prefix, expertCount: outline.expertCount,
        hasSharedExperts: layer?.shared != nil, format: layer?.experts.format, isComplete: outline.isWhole,
        isRead: outline.isWhole && readsValues)
    }
    guard readsValues else { return }
    let values = ValueCheck(survey.layers, of: checkpoint.catalog, pool, progress)
    report.findings += values.findings
    report.bytesRead = values.bytesRead
    report.weightCount = values.weightCount
  }

  /// The worse first, then in the order of layers and experts.
  private static func precedes(_ a: Finding, _ b: Finding) -> Bool {
    func key(_ finding: Finding) -> (Int, Int, String, String) {
      (
        finding.place.layer ?? -1, finding.place.expert ?? -1, finding.fault.subject ?? "", finding.fault.message
      )
    }
    return a.severity == b.severity ? key(a) < key(b) : a.severity > b.severity
  }
}
