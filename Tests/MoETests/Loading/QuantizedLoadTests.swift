// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import MoE
import Tensors
import Testing

/// Weights that are quantised while they load are the same on any number of ranks.
@Suite struct QuantizedLoadTests {
  static let types = [
    "fp8-tensor", "fp8-channel", "fp8-block", "int8-channel", "int8-g32", "int4-g32-asym", "mxfp4", "mxfp8", "nvfp4",
    "nf4", "q8_0", "q5_1",
  ]

  private func model(
    _ stored: StoredLayout, hidden: Int, intermediate: Int
  ) throws -> (source: ExpertSource, catalog: TensorCatalog) {
    let test = ExpertsCase(experts: 2, hidden: hidden, intermediate: intermediate, hasBias: true)
    let (fixture, registry) = stored.checkpoint(RandomExperts(test.specification, seed: 31))
    let folder = try TemporaryFolder()
    try fixture.write(to: folder.path)
    let model = try MoEModel(opening: folder.path, registry: registry)
    return (try model.layer(0).experts, model.checkpoint.catalog)
  }

  /// What all ranks hold together, per expert, projection and role.
  private func united(
    _ source: ExpertSource, _ catalog: TensorCatalog, _ type: WeightType, tensorParallel: Int, on backend: some Backend
  ) throws -> [[ExpertTensor]] {
    var result: [[ExpertTensor]] = []
    for rank in 0..<tensorParallel {
      let plan = try LoadPlan(
        source, on: backend, as: ParallelLayout(tensorParallel: tensorParallel, expertParallel: 1, rank: rank),
        weightType: type)
      for (expert, slot) in plan.slots.enumerated() {
        let tensors = try plan.values(of: slot, from: catalog)
        guard rank > 0 else {
          result.append(tensors)
          continue
        }
        for (index, tensor) in tensors.enumerated() { result[expert][index].join(tensor) }
      }
    }
    return result
  }

  /// 96 is no multiple of 4 blocks of 32, nor of one of 128: some cuts fall inside them.
  @Test(arguments: types, [3, 4]) func sameAsOneRank(name: String, tensorParallel: Int) throws {
    let type = try WeightType(parsing: name)
    for stored in [StoredLayout.perExpert, .interleavedInputMajor] {
      let (source, catalog) = try model(stored, hidden: 64, intermediate: 96)
      for backend in [CPUBackend(), ReferenceBackend()] as [any Backend] {
        let whole = try united(source, catalog, type, tensorParallel: 1, on: backend)
        #expect(try united(source, catalog, type, tensorParallel: tensorParallel, on: backend) == whole)
      }
    }
  }

  /// Blocks of 256 that a rank has a part of.
  @Test func cutBlocks() throws {
    let (source, catalog) = try model(.fusedOutputMajor, hidden: 256, intermediate: 256)
    let type = try WeightType(parsing: "tq2_0")
    let whole = try united(source, catalog, type, tensorParallel: 1, on: CPUBackend())
    #expect(try united(source, catalog, type, tensorParallel: 2, on: CPUBackend()) == whole)
  }

  /// Only what shares scales with other ranks is read by more than one, and the plan says so.
  @Test func bytes() throws {
    let (source, _) = try model(.perExpert, hidden: 64, intermediate: 96)
    func read(_ name: String) throws -> (bytes: Int, notes: [String]) {
      var total = (bytes: 0, notes: [String]())
      for rank in 0..<3 {
        let plan = try LoadPlan(
          source, on: CPUBackend(), as: ParallelLayout(tensorParallel: 3, expertParallel: 1, rank: rank),
          weightType: WeightType(parsing: name))
        total.bytes += plan.bytesToRead
        total.notes += plan.notes.filter { $0.contains("reads more than the rank's share") }
      }
      return total
    }
    let plain = try LoadPlan(source, on: CPUBackend()).bytesToRead
    #expect(try read("mxfp4").notes == [] && read("mxfp4").bytes == plain)
    let whole = try read("nvfp4")
    #expect(whole.notes.count == 3 && whole.bytes > 2 * plain)
    // One scale for a row: of down the columns of all ranks, of gate and up the rank's own rows.
    let channel = try read("fp8-channel")
    #expect(channel.notes.count == 3 && channel.bytes > plain && channel.bytes < whole.bytes)
  }

  @Test func slowPaths() throws {
    let (source, _) = try model(.perExpert, hidden: 64, intermediate: 96)
    let type = try WeightType(parsing: "mxfp4")
    try LoadPlan(source, on: CPUBackend(), weightType: type).requireFast()
    expectFaults([.unsupportedByBackend], ["a slow path", "reference backend"]) {
      try LoadPlan(source, on: ReferenceBackend()).requireFast()
    }
    // 96 columns over 32 ranks leave groups of one.
    let plan = try LoadPlan(
      source, on: CPUBackend(), as: ParallelLayout(tensorParallel: 32, expertParallel: 1, rank: 0), weightType: type)
    #expect(plan.slowPaths.count == 1 && plan.notes.contains(plan.slowPaths[0]))
    expectFaults([.unsupportedByBackend], ["down (mxfp4)", "fewer than 8 columns"]) { try plan.requireFast() }
  }
}

extension ExpertTensor {
  /// Adds another rank's share: rows of gate and up, columns of down; biases of down are added up.
  fileprivate mutating func join(_ other: Self) {
    if projection == .down && role == .bias {
      for index in values.indices { values[index] += other.values[index] }
    } else if projection == .down {
      var joined: [Float] = []
      for row in 0..<rows {
        joined += values[row * columns..<(row + 1) * columns]
        joined += other.values[row * other.columns..<(row + 1) * other.columns]
      }
      values = joined
      columns += other.columns
    } else {
      values += other.values
      rows += other.rows
    }
  }
}
