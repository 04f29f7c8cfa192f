// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Checkpoints
internal import Tensors

/// The group of a compressed-tensors configuration that a module belongs to.
///
/// `config_groups` names groups with `targets`, the parameters of `weights`, and perhaps a `format` of their own in
/// place of the one of all. A target is the name of a module, a regular expression (`re:`) or a class (`Linear`), and
/// counts in this order.
struct CompressedTensorsGroup {
  /// E.g. `pack-quantized`; nil where it is not said.
  let format: String?
  let bits: Int
  let granularity: Granularity
  let isSymmetric: Bool
  /// `input_activations`; nil where weights only are quantised.
  let input: ModuleSettings?

  /// nil for settings without groups.
  init?(_ settings: ModuleSettings) throws(MoEError) {
    guard let groups = try settings.below("config_groups") else { return nil }
    var best: (rank: Int, group: ModuleSettings)?
    for name in groups.values.keys.sorted() {
      guard let group = try groups.below(name) else { continue }
      for target in try group.strings("targets") ?? ["Linear"] {
        guard let rank = try Self.rank(target, settings), rank > best?.rank ?? 0 else { continue }
        best = (rank, group)
      }
    }
    guard let group = best?.group, let weights = try group.below("weights") else {
      throw MoEError(
        .configuration, "no group of config_groups has weights for the module", file: settings.file,
        subject: settings.module, expected: "a target that matches it",
        found: groups.values.keys.sorted().joined(separator: ", "))
    }
    let ownFormat = try group.string("format")
    let commonFormat = try settings.string("format")
    format = ownFormat ?? commonFormat
    guard let bits = try weights.integer("num_bits", in: 1...8) else {
      throw MoEError(
        .configuration, "num_bits is not given", file: settings.file, subject: "config_groups", expected: "1 to 8")
    }
    self.bits = bits
    granularity = try Self.granularity(weights)
    isSymmetric = try weights.boolean("symmetric") ?? true
    input = try group.below("input_activations")
  }

  /// 3 for a name, 2 for an expression, 1 for a class; nil for another module.
  private static func rank(_ target: String, _ settings: ModuleSettings) throws(MoEError) -> Int? {
    let pattern = try ModulePattern(target, file: settings.file)
    if pattern.isExpression { return pattern.matches(settings.module) ? 2 : nil }
    // A class has no dots and begins with a capital; no module of an expert does.
    if target.first?.isUppercase == true { return 1 }
    return pattern.matches(settings.module) ? 3 : nil
  }

  private static func granularity(_ weights: ModuleSettings) throws(MoEError) -> Granularity {
    let size = try weights.groupSize()
    switch try weights.string("strategy") {
    case "tensor": return .tensor
    case "channel": return .channel
    case "group", "tensor_group", nil:
      return size.map { .group($0) } ?? .channel
    case "block":
      guard let (rows, columns) = try weights.pair("block_structure") else {
        throw MoEError(
          .configuration, "block_structure is not given", file: weights.file, subject: "config_groups",
          expected: "two whole numbers above 0")
      }
      return .block(rows: rows, columns: columns)
    case let other?: throw weights.mismatch("strategy", "tensor, channel, group, tensor_group or block", .string(other))
    }
  }
}
