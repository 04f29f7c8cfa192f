// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import ArgumentParser
import Checkpoints
import MoE
import MoEInspection
import Tensors

/// The proof that a checkpoint is whole.
struct Check: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Prove that a checkpoint's experts are whole: every tensor once, with values that mean something.",
    discussion: """
      Lists everything that is wrong, not the first thing. Errors: tensors missing, extra, twice, of a wrong shape or \
      type; codes and scales that are not finite, scales of 0 or less over weights that are not 0, zero points and group \
      indices out of range. Warnings: experts that are all 0, constant, copies of others, or of another magnitude than \
      their siblings. The status is 1 where there is an error.
      """)

  @Argument(help: "A checkpoint: a folder, a safetensors or a GGUF file.", completion: .directory)
  var checkpoint: String

  @Option(help: ArgumentHelp("Layers, for example 0-3,7; all when absent.", valueName: "numbers"))
  var layers: NumberSet?

  @Flag(help: "Check headers only, no values.")
  var headers = false

  @Flag(help: "List each finding by itself, not by kind.")
  var all = false

  @OptionGroup(title: "The completeness map, layer × expert")
  var pictures: PictureOptions

  @OptionGroup var workers: ThreadOptions

  @Flag(help: "Print one JSON object.")
  var json = false

  func run() throws {
    let line = ProgressLine("checking")
    let start = now()
    let report = CheckpointCheck(layers: layers.map { Set($0.numbers) }, readsValues: !headers)
      .run(on: checkpoint, pool: try workers.pool()) { line.show(bytes: $0, of: $1) }
    line.finish()
    let seconds = now() - start
    print(
      json ? report.object(readsValues: !headers, seconds: seconds).serialized(pretty: true) : text(report, seconds))
    let name = checkpoint.split(separator: "/").last.map(String.init) ?? checkpoint
    try pictures.draw(report.picture(title: name), isQuiet: json)
    // What could not be opened is an error of the command, too, and not only a finding.
    if report.architecture == nil { throw MoEError(report.findings.filter { $0.severity == .error }.map(\.fault)) }
    if !report.isWhole { throw ExitCode.failure }
  }
}

// MARK: - For people

extension Check {
  private func text(_ report: CheckReport, _ seconds: Double) -> String {
    var lines = ["\(checkpoint): " + (report.architecture ?? "not opened")]
    let formats = Dictionary(grouping: report.layers) { layer in
      (layer.isComplete ? "complete" : "not complete") + (layer.expertCount.map { ", \($0) experts" } ?? "")
        + (layer.hasSharedExperts ? " and shared ones" : "") + (layer.format.map { ", \($0)" } ?? "")
    }
    for (facts, layers) in formats.sorted(by: { $0.value[0].index < $1.value[0].index }) {
      lines.append("layers \(layers.map(\.index).ranges): \(facts)")
    }
    if report.bytesRead > 0 {
      lines.append(
        "\(Format.bytes(report.bytesRead)) read, \(Format.short(Double(report.weightCount) / 1e9)) G weights, in "
          + "\(Format.short(seconds)) s (\(Format.short(Double(report.weightCount) / seconds / 1e9)) G/s)")
    }
    lines.append("")
    let groups = all ? report.findings.map { FindingGroup([$0]) } : report.groups
    for group in groups { lines += Self.lines(group) }
    if !report.findings.isEmpty { lines.append("") }
    let verdict = report.isWhole ? (headers ? "whole by its headers" : "whole") : "NOT whole"
    let counts = [(report.count(.error), "error"), (report.count(.warning), "warning"), (report.count(.note), "note")]
    lines.append(
      "\(verdict): " + counts.map { "\($0.0) \($0.1)\($0.0 == 1 ? "" : "s")" }.joined(separator: ", "))
    return lines.joined(separator: "\n")
  }

  /// A line for the kind and its places, and one for the first of them.
  private static func lines(_ group: FindingGroup) -> [String] {
    let fault = group.first.fault
    let count = group.findings.count
    let places = count == 1 ? group.first.place.description : group.places
    let severity = group.first.severity.rawValue
    let head = severity + String(repeating: " ", count: 9 - severity.count) + (places.isEmpty ? "" : places + ": ")
    var details = [fault.file, fault.subject].compactMap(\.self).joined(separator: ": ")
    let comparison = [fault.expected.map { "expected \($0)" }, fault.found.map { "found \($0)" }].compactMap(\.self)
    details += (details.isEmpty || comparison.isEmpty ? "" : ": ") + comparison.joined(separator: ", ")
    if let remedy = fault.remedy { details += "; " + remedy }
    let indent = String(repeating: " ", count: 9)
    return [head + fault.message] + (details.isEmpty ? [] : [indent + details])
      + (count == 1 ? [] : [indent + "and \(count - 1) more of this kind (each with --all)"])
  }
}
