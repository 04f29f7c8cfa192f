// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import MoE
import Tensors
import Testing

/// Tensors pushed from memory give what a load from files gives, in any order and as often as one likes.
@Suite struct ExpertLoaderTests {
  private struct Setup {
    let fixture: CheckpointFixture
    let model: MoEModel
    let plan: LoadPlan
    let backend = ReferenceBackend()
    let storage: ReferenceStorage

    init(_ stored: StoredLayout, rank: ParallelLayout = .single, redundant: Int = 0) throws {
      let test = ExpertsCase(experts: 4, hidden: 10, intermediate: 6, hasBias: true)
      let registry: ArchitectureRegistry
      (fixture, registry) = stored.checkpoint(RandomExperts(test.specification, seed: 9))
      let folder = try TemporaryFolder()
      try fixture.write(to: folder.path)
      model = try MoEModel(opening: folder.path, registry: registry)
      let placement = try ExpertPlacement.initial(
        expertCount: 4, redundant: redundant, ranks: rank.expertParallel)
      plan = try LoadPlan(model.layer(0).experts, on: backend, as: rank, placement: placement)
      storage = try backend.allocate(plan.layout)
      try plan.execute(from: model.checkpoint.catalog, into: storage, of: backend)
    }

    var loader: ExpertLoader<ReferenceBackend> { ExpertLoader(plan, into: storage, of: backend) }

    func bytes() throws -> [[UInt8]] {
      try plan.slots.map { try unsafe backend.withBytes(of: $0.slot, in: storage) { unsafe Array($0) } }
    }

    /// Overwrites everything by what can't be right.
    func poison() throws {
      let poison = [UInt8](repeating: 0xA5, count: plan.layout.bytesPerExpert)
      for slot in plan.slots {
        try unsafe poison.withUnsafeBytes { bytes in
          try unsafe backend.replace(slot.slot, in: storage, with: bytes)
        }
      }
    }

    var experts: [String] { fixture.tensors.keys.filter { $0.contains("experts") }.sorted() }

    @discardableResult
    func push(
      _ name: String, to loader: ExpertLoader<ReferenceBackend>
    ) throws -> ExpertLoader<ReferenceBackend>.Outcome {
      let tensor = fixture.tensors[name]!
      return try unsafe tensor.bytes.withUnsafeBytes { bytes in
        try unsafe loader.push(name, tensor.elementType, tensor.shape, bytes)
      }
    }
  }

  @Test(arguments: StoredLayout.allCases, [0, 3, 5]) func anyOrder(stored: StoredLayout, rank: Int) throws {
    let rank = try ParallelLayout(tensorParallel: 2, expertParallel: 3, rank: rank)
    let setup = try Setup(stored, rank: rank, redundant: 2)
    let expected = try setup.bytes()
    let loader = setup.loader
    for seed in 0..<3 {
      try setup.poison()
      var random = SplitMix64(seed: UInt64(seed))
      for name in setup.experts.shuffled(using: &random) { try setup.push(name, to: loader) }
      try loader.finish()
      #expect(try setup.bytes() == expected, "stream \(seed)")
    }
  }

  /// Nothing is in a file: plan and load come from declarations and pushes alone.
  @Test func withoutFiles() throws {
    let setup = try Setup(.fusedOutputMajor)
    let tensors = setup.fixture.tensors
    let checkpoint = try Checkpoint(
      declaring: tensors.map { TensorDeclaration($0.key, $0.value.elementType, $0.value.shape) },
      configuration: .object(setup.fixture.configuration))
    let (_, registry) = StoredLayout.fusedOutputMajor.checkpoint(
      RandomExperts(ExpertsCase(experts: 4, hidden: 10, intermediate: 6, hasBias: true).specification, seed: 9))
    let layer = try MoEModel(checkpoint, registry: registry).layers[0]
    let plan = try LoadPlan(layer.experts, on: setup.backend)
    #expect(plan.bytesToRead == setup.plan.bytesToRead && plan.layout == setup.plan.layout)
    let storage = try setup.backend.allocate(plan.layout)
    expectFault(.unreadable, "was declared") {
      try plan.execute(from: checkpoint.catalog, into: storage, of: setup.backend)
    }
    let loader = ExpertLoader(plan, into: storage, of: setup.backend)
    for name in setup.experts.reversed() { try setup.push(name, to: loader) }
    try loader.finish()
    for slot in plan.slots {
      let bytes = try unsafe setup.backend.withBytes(of: slot.slot, in: storage) { unsafe Array($0) }
      #expect(try setup.bytes()[slot.slot.rawValue] == bytes)
    }
  }

  @Test func saysWhatATensorWasFor() throws {
    let rank = try ParallelLayout(tensorParallel: 1, expertParallel: 2, rank: 1)
    let setup = try Setup(.perExpert, rank: rank)
    let loader = setup.loader
    let prefix = "model.layers.0.mlp.experts."
    #expect(try setup.push(prefix + "0.up_proj.weight", to: loader) == .notLocal)
    guard case .loaded(let parameters) = try setup.push(prefix + "3.up_proj.weight", to: loader) else {
      Issue.record("expert 3 is in slot 1 of rank 1")
      return
    }
    #expect(parameters.map(\.slot.rawValue) == [1])
    #expect(parameters[0].projections == [.up] && parameters[0].role == .weight)
  }

  @Test func listsWhatIsMissing() throws {
    let setup = try Setup(.perExpert)
    let loader = setup.loader
    let names = setup.experts
    for name in names.dropFirst(2) { try setup.push(name, to: loader) }
    expectFaults([.missingTensor, .missingTensor], Array(names.prefix(2))) { try loader.finish() }
    for name in names.prefix(2) { try setup.push(name, to: loader) }
    try loader.finish()
  }

  @Test func badPushes() throws {
    let setup = try Setup(.stacked)
    let loader = setup.loader
    let name = setup.experts[0]
    let tensor = setup.fixture.tensors[name]!
    func push(_ name: String, _ type: ElementType, _ shape: Shape, _ count: Int) throws {
      try unsafe [UInt8](repeating: 0, count: count).withUnsafeBytes { bytes in
        _ = try unsafe loader.push(name, type, shape, bytes)
      }
    }
    expectFaults([.unexpectedTensor], ["mlp.nothing"]) { try push("mlp.nothing", .bf16, [1], 2) }
    expectFaults([.unexpectedTensor], ["gate.weight"]) { try setup.push("model.layers.0.mlp.gate.weight", to: loader) }
    expectFaults([.typeMismatch, .shapeMismatch], [name]) { try push(name, .f32, [1], 4) }
    expectFaults([.sizeMismatch], [name]) { try push(name, .bf16, tensor.shape, tensor.bytes.count - 1) }
    try setup.push(name, to: loader)
    expectFaults([.duplicateParameter], [name]) { try setup.push(name, to: loader) }
  }
}
