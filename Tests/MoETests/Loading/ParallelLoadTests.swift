// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import MoE
import Tensors
import TestSupport
import Testing

/// Loads cut over ranks: together the ranks have what one rank has, and read nothing that isn't theirs.
@Suite struct ParallelLoadTests {
  @Test(arguments: StoredLayout.allCases, [1, 2, 3])
  func everyLayout(stored: StoredLayout, tensorParallel: Int) throws {
    let test = ExpertsCase(experts: 5, hidden: 10, intermediate: 7, hasBias: true)
    let (fixture, registry) = stored.checkpoint(RandomExperts(test.specification, seed: 1))
    let folder = try TemporaryFolder()
    try fixture.write(to: folder.path)
    let model = try MoEModel(opening: folder.path, registry: registry)
    let check = try ParallelLoadCheck(model.layer(0).experts, of: model.checkpoint.catalog)
    for expertParallel in [1, 2, 3, 7] {
      for isRedundant in [false, true] {
        try check(tensorParallel: tensorParallel, expertParallel: expertParallel, isRedundant: isRedundant)
      }
    }
  }
}
