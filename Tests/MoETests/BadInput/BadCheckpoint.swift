// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import MoE
import Tensors

/// A checkpoint that was spoilt, and what must be said about it.
struct BadCheckpoint: Sendable, CustomStringConvertible {
  let name: String
  let family: String
  let codes: [Fault.Code]
  var fragments: [String]
  let spoil: @Sendable (inout CheckpointFixture) -> Void

  var description: String { name }

  init(
    _ name: String, of family: String = "Qwen2-MoE", _ codes: [Fault.Code], _ fragments: String...,
    spoil: @escaping @Sendable (inout CheckpointFixture) -> Void
  ) {
    self.name = name
    self.family = family
    self.codes = codes
    self.fragments = fragments
    self.spoil = spoil
  }

  func fixture() throws -> CheckpointFixture {
    var fixture = try CheckpointFixture(synthetic: TinyConfigurations.all[family]!)
    spoil(&fixture)
    return fixture
  }
}
