// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import MoE
import Testing

@testable import RankCheck

/// Layers over ranks that are threads of this process, on every backend.
@Suite struct RankedLayerTests {
  /// Shared experts and groups, biases, weights on the input, zero experts, a latent width.
  static let families = ["DeepSeek-V3", "gpt-oss", "Llama-4", "LongCat-Flash", "Nemotron-H MoE"]

  @Test(arguments: families, [2, 3, 4]) func cpu(family: String, ranks: Int) throws {
    try check(family, ranks, CPUBackend(pool: try #require(WorkerPool(threads: 1))))
  }

  @Test(arguments: [2, 3]) func otherBackends(ranks: Int) throws {
    try check("DeepSeek-V3", ranks, ReferenceBackend())
    // A device that pads, with memory of its own.
    try check("gpt-oss", ranks, FakeDeviceBackend(hiddenAlignment: 24, intermediateAlignment: 5))
  }

  private func check(_ family: String, _ ranks: Int, _ backend: some Backend) throws {
    let folder = try TemporaryFolder()
    try CheckpointFixture(synthetic: #require(TinyConfigurations.all[family])).write(to: folder.path)
    let model = try MoEModel(opening: folder.path)
    let layer = try #require(model.layers.last)
    _ = try ThreadCommunicator.run(ranks: ranks) { world in
      try LayerCheck(layer, of: model, on: backend, over: world).everything()
    }
  }
}
