// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Checkpoints
internal import MoE
internal import Tensors

/// Entries of the list of modules that are not quantised which name none: often a typing error.
enum IgnoreList {
  static func findings(of checkpoint: Checkpoint) -> [Finding] {
    let settings: QuantizationSettings
    do throws(MoEError) {
      settings = try QuantizationSettings(checkpoint)
    } catch {
      return []  // The survey tells it.
    }
    guard !settings.ignored.isEmpty else { return [] }
    let modules = checkpoint.catalog.records.map { record in
      record.name.utf8.lastIndex(of: UInt8(ascii: ".")).map { String(record.name[..<$0]) } ?? record.name
    }
    return settings.unmatched(modules).map { entry in
      Finding(
        .note,
        Fault(
          .unmatchedIgnore, "an entry of the ignore list names no module of the checkpoint", file: settings.file,
          subject: entry.text))
    }
  }
}
