// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Foundation
import MoE
import MoEInspection
import Synchronization
import Testing

/// Every kind of damage to a checkpoint of every format, and where `moe check` finds it.
@Suite struct CorruptionTests {
  /// The formats, each by a case of the oracle. What isn't there is passed over.
  static let formats = [
    ("bf16", "arch_deepseek_v3"), ("bf16 fused", "arch_gpt_oss_clamp"), ("fp8 tensor", "q_fp8_tensor_static_mixtral"),
    ("fp8 block", "q_fp8_block128_dsv3"), ("fp8 ue8m0", "q_fp8_block128_ue8m0_dsv3"),
    ("fp8 modelopt", "q_modelopt_fp8_mixtral"), ("int4 sym", "q_ct_w4a16_g128_sym_qwen"),
    ("int4 asym", "q_ct_w4a16_g128_asym_mixtral"), ("int3", "q_ct_w3a16_g128_mixtral"),
    ("int8", "q_ct_w8a8_int8_channel_mixtral"), ("GPTQ", "q_gptq_w4_g128_asym_descact_mixtral"),
    ("AWQ", "q_awq_w4_g128_mixtral"), ("nvfp4 ct", "q_ct_nvfp4_mixtral"),
    ("nvfp4 modelopt", "q_modelopt_nvfp4_mixtral"),
    ("mxfp4", "q_ct_mxfp4_mixtral"), ("mxfp4 gpt-oss", "q_mxfp4_gpt_oss"), ("mxfp8", "q_modelopt_mxfp8_qwen"),
    ("nf4", "q_bnb_nf4_double_mixtral"), ("GGUF k-quant", "gguf_llama_Q4_K_Q6_K"), ("GGUF mxfp4", "gguf_gpt-oss_MXFP4"),
  ].filter { FileManager.default.fileExists(atPath: Oracle.folder.path + "/" + $0.1) }

  /// What was found: by format and kind of damage.
  private static let results = Mutex<[String: [String: Damage.Found]]>([:])

  @Test(arguments: formats.indices) func damage(index: Int) throws {
    let (format, name) = Self.formats[index]
    let whole = try Specimen(Oracle.folder.path + "/" + name)
    var found: [String: Damage.Found] = [:]
    for damage in Damage.all where damage.isInGGUF || !whole.isGGUF {
      var specimen = whole
      guard try damage.spoil(&specimen) else { continue }
      let folder = try TemporaryFolder()
      try specimen.write(to: folder.path)
      let result = Self.check(folder.path, layer: whole.layer.index)
      found[damage.name] = result.found
      #expect(result.found == damage.found, "\(damage) of \(format): \(result.text)")
    }
    Self.results.withLock { $0[format] = found }
    #expect(found.count >= (whole.isGGUF ? 10 : 25), "\(format): only \(found.count) kinds of damage")
    try Self.writeTable()
  }

  /// Where an error or a warning shows: among all headers, then among the values of the layer that was damaged.
  private static func check(_ path: String, layer: Int) -> (found: Damage.Found, text: String) {
    let headers = CheckpointCheck(readsValues: false).run(on: path)
    guard headers.isWhole else { return (.headers, text(headers)) }
    let values = CheckpointCheck(layers: [layer]).run(on: path)
    let isFound = values.findings.contains { $0.severity > .note }
    return (isFound ? .values : .never, text(values))
  }

  private static func text(_ report: CheckReport) -> String {
    report.findings.map { "\($0.severity) \($0.place): \($0.fault)" }.joined(separator: "\n")
  }

  @Test func kinds() {
    #expect(Damage.all.count >= 25)
    #expect(Set(Damage.all.map(\.name)).count == Damage.all.count)
    #expect(Damage.all.allSatisfy { ($0.found == .never) == ($0.reason != nil) })
  }

  /// Nothing is found where nothing is wrong.
  @Test(arguments: Oracle.folders) func wholeCheckpoints(folder: String) {
    let report = CheckpointCheck().run(on: folder)
    #expect(report.isWhole && report.count(.warning) == 0, "\(Self.text(report))")
    #expect(report.bytesRead > 0 && report.weightCount > 0)
  }

  // MARK: - The table of docs/corruption.md

  /// Writes the table to the file that `MOE_CORRUPTION_TABLE` names.
  private static func writeTable() throws {
    guard let path = ProcessInfo.processInfo.environment["MOE_CORRUPTION_TABLE"], !path.isEmpty else { return }
    let results = results.withLock { $0 }
    guard results.count == formats.count else { return }
    let names = formats.map(\.0)
    var text = "| damage | " + names.joined(separator: " | ") + " |\n"
    text += "|---|" + String(repeating: "---|", count: names.count) + "\n"
    for damage in Damage.all {
      let cells = names.map { name in
        switch results[name]![damage.name] {
        case .headers?: "h"
        case .values?: "v"
        case .never?: "–"
        case nil: ""
        }
      }
      text += "| \(damage.name) | " + cells.joined(separator: " | ") + " |\n"
    }
    text += "\n" + Damage.all.compactMap { damage in damage.reason.map { "- \(damage.name): \($0).\n" } }.joined()
    try text.write(toFile: path, atomically: true, encoding: .utf8)
  }
}
