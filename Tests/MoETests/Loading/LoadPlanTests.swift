// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import MoE
import Synchronization
import Tensors
import TestSupport
import Testing

/// What a load will read, from every layout: each byte of the experts once, and nothing else.
@Suite struct LoadPlanTests {
  @Test(arguments: StoredLayout.allCases, [false, true]) func everyByteOnce(stored: StoredLayout, hasBias: Bool) throws
  {
    let test = ExpertsCase(experts: 3, hidden: 10, intermediate: 7, hasBias: hasBias)
    let (fixture, registry) = stored.checkpoint(RandomExperts(test.specification, seed: 1))
    let folder = try TemporaryFolder()
    try fixture.write(to: folder.path)
    let model = try MoEModel(opening: folder.path, registry: registry)
    let layer = try model.layer(0)
    #expect(layer.specification == test.specification)

    let backend = CPUBackend()
    let plan = try LoadPlan(layer.experts, on: backend)
    let biasBytes = hasBias ? 3 * (7 + 7 + 10) * 2 : 0
    #expect(plan.bytesToRead == 3 * 3 * 10 * 7 * 2 + biasBytes)
    #expect(plan.residentBytes == 3 * plan.layout.bytesPerExpert)
    // A worker holds a matrix at most; what is read lies at multiples of 64 bytes.
    let staging = plan.peakBytes() - plan.residentBytes
    let largest = plan.slots[0].transfers.map(\.bytesToRead).max()!
    #expect(staging >= largest && staging < largest + 2 * 64)
    #expect(plan.peakBytes(workers: 2) == plan.residentBytes + 2 * staging)
    for slot in plan.slots {
      #expect(slot.transfers.flatMap(\.reads).count == stored.readsPerExpert * (hasBias ? 2 : 1))
    }

    // The ranges of each tensor, one after the other, are the whole tensor.
    var ranges: [String: [Range<Int>]] = [:]
    for read in plan.slots.flatMap(\.transfers).flatMap(\.reads) {
      ranges[read.piece.tensor.name, default: []] += read.runs.flatMap(\.ranges)
    }
    for (name, tensor) in fixture.tensors where name.contains("experts") {
      var end = 0
      for range in try #require(ranges[name]).sorted(by: { $0.lowerBound < $1.lowerBound }) {
        #expect(range.lowerBound == end, "\(name)")
        end = range.upperBound
      }
      #expect(end == tensor.bytes.count, "\(name)")
    }
    #expect(ranges.count == fixture.tensors.count - 1)
  }

  /// However the experts are stored, what is resident is the same bit by bit.
  @Test(arguments: StoredLayout.allCases, [ElementType.bf16, .f16, .f32])
  func sameStorage(stored: StoredLayout, elementType: ElementType) throws {
    let test = ExpertsCase(
      experts: 3, hidden: 37, intermediate: 6, hasBias: elementType != .f16, elementType: elementType)
    let experts = RandomExperts(test.specification, seed: 2)
    let (fixture, registry) = stored.checkpoint(experts)
    let folder = try TemporaryFolder()
    try fixture.write(to: folder.path)
    let model = try MoEModel(opening: folder.path, registry: registry)
    func check(_ backend: some Backend) throws {
      let loaded = try RoutedExperts(model.layer(0).experts, of: model.checkpoint.catalog, on: backend)
      let direct = try experts.store(on: backend)
      for slot in (0..<3).map(LocalExpert.init) {
        let bytes = try unsafe backend.withBytes(of: slot, in: loaded.storage) { unsafe Array($0) }
        let expected = try unsafe backend.withBytes(of: slot, in: direct) { unsafe Array($0) }
        #expect(bytes == expected, "\(backend.name), slot \(slot.rawValue)")
      }
    }
    try check(CPUBackend())
    try check(ReferenceBackend())
    try check(FakeDeviceBackend())
  }

  /// A backend that wants other sizes gets zeros behind the real ones, and the layer computes the same.
  @Test(arguments: StoredLayout.allCases, [false, true]) func padsForTheBackend(stored: StoredLayout, hasBias: Bool)
    throws
  {
    let test = ExpertsCase(experts: 3, hidden: 10, intermediate: 7, hasBias: hasBias)
    let experts = RandomExperts(test.specification, seed: 3)
    let (fixture, registry) = stored.checkpoint(experts)
    let folder = try TemporaryFolder()
    try fixture.write(to: folder.path)
    let model = try MoEModel(opening: folder.path, registry: registry)
    let backend = FakeDeviceBackend(hiddenAlignment: 16, intermediateAlignment: 4)
    let plan = try LoadPlan(model.layer(0).experts, on: backend)
    #expect(plan.layout.specification.hiddenSize == 16 && plan.layout.specification.intermediateSize == 8)
    #expect(plan.notes == ["the fake backend pads 10 × 7 (hidden × intermediate) to 16 × 8"])
    let loaded = try RoutedExperts(model.layer(0).experts, of: model.checkpoint.catalog, on: backend)
    let hidden = randomValues(4 * 10, seed: 5)
    let routing = try randomRouting(tokens: 4, topK: 2, experts: 3, seed: 6)
    let found = try loaded.forward(hidden, routing: routing).routed
    let reference = try RoutedExperts(model.layer(0).experts, of: model.checkpoint.catalog, on: ReferenceBackend())
    expectClose(found, try reference.forward(hidden, routing: routing).routed, bound: 1e-6)
  }

  @Test(arguments: [1, 3]) func progress(threads: Int) throws {
    let test = ExpertsCase(experts: 6, hidden: 10, intermediate: 7)
    let (fixture, registry) = StoredLayout.perExpert.checkpoint(RandomExperts(test.specification, seed: 1))
    let folder = try TemporaryFolder()
    try fixture.write(to: folder.path)
    let model = try MoEModel(opening: folder.path, registry: registry)
    let backend = CPUBackend()
    let plan = try LoadPlan(model.layer(0).experts, on: backend)
    let pool = try #require(WorkerPool(threads: threads))
    let seen = Mutex<[LoadProgress]>([])
    try plan.execute(
      from: model.checkpoint.catalog, into: backend.allocate(plan.layout), of: backend, pool: pool
    ) { progress in
      seen.withLock { $0.append(progress) }
    }
    let steps = seen.withLock { $0 }
    #expect(steps.map(\.expertsLoaded) == [1, 2, 3, 4, 5, 6])
    #expect(steps.allSatisfy { $0.expertCount == 6 && $0.bytesToRead == plan.bytesToRead })
    #expect(steps.map(\.bytesRead) == (1...6).map { $0 * plan.bytesToRead / 6 })
  }

  /// A file that shrinks after its headers were read gives an error that names it, for every expert that is lost.
  @Test func aFileThatShrinks() throws {
    let test = ExpertsCase(experts: 4, hidden: 64, intermediate: 64)
    let (fixture, registry) = StoredLayout.perExpert.checkpoint(RandomExperts(test.specification, seed: 1))
    let folder = try TemporaryFolder()
    try fixture.write(to: folder.path)
    let model = try MoEModel(opening: folder.path, registry: registry)
    #expect(truncateFile(folder["model.safetensors"], to: 5000) == 0)
    let catalog = model.checkpoint.catalog
    let faults = expectFault(.fileChanged) {
      _ = try RoutedExperts(model.layer(0).experts, of: catalog, on: CPUBackend())
    }
    #expect(faults.allSatisfy { $0.file?.hasSuffix("model.safetensors") == true })
  }
}
