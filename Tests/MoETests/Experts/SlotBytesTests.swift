// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import MoE
import Tensors
import Testing

/// One contiguous region per expert: what moves experts between slots and what digests cover.
@Suite struct SlotBytesTests {
  static let test = ExpertsCase(experts: 4, hidden: 37, intermediate: 21, tokens: 6, hasBias: true)

  @Test func movedBytesGiveTheSameOutputs() throws {
    try checkMove(CPUBackend())
    try checkMove(ReferenceBackend())
    try checkMove(FakeDeviceBackend())
  }

  private func checkMove(_ backend: some Backend) throws {
    let experts = RandomExperts(Self.test.specification, seed: 1)
    let source = try experts.store(on: backend)
    let target = try backend.allocate(backend.layout(of: Self.test.specification))
    // Backwards, over regions that were never stored and one that was.
    try experts.store(0, on: backend, in: target, at: 1)
    for slot in 0..<4 {
      let bytes = try bytes(of: slot, in: source, backend)
      #expect(try bytes.count == backend.layout(of: Self.test.specification).bytesPerExpert)
      try unsafe bytes.withUnsafeBytes {
        try unsafe backend.replace(LocalExpert(rawValue: 3 - slot), in: target, with: $0)
      }
    }
    let hidden = randomValues(6 * 37, seed: 2)
    let routing = try randomRouting(tokens: 6, topK: 2, experts: 4, seed: 3)
    let mirrored = try Routing(topK: 2, ids: routing.ids.map { 3 - $0 }, weights: routing.weights)
    expectSameBits(
      try backend.forward(target, hidden: hidden, routing: mirrored),
      try backend.forward(source, hidden: hidden, routing: routing), backend.name)
    for slot in 0..<4 { #expect(try bytes(of: slot, in: source, backend) == bytes(of: 3 - slot, in: target, backend)) }
  }

  private func bytes<B: Backend>(of slot: Int, in storage: B.Storage, _ backend: B) throws -> [UInt8] {
    try unsafe backend.withBytes(of: LocalExpert(rawValue: slot), in: storage) { unsafe Array($0) }
  }

  /// The padding of a region holds no chance bytes.
  @Test func bytesAreAFunctionOfTheWeights() throws {
    let experts = RandomExperts(Self.test.specification, seed: 1)
    let other = RandomExperts(Self.test.specification, seed: 2)
    func check(_ backend: some Backend) throws {
      let (first, second) = (try experts.store(on: backend), try other.store(on: backend))
      for slot in 0..<4 {
        #expect(try bytes(of: slot, in: first, backend) != bytes(of: slot, in: second, backend))
        try experts.store(slot, on: backend, in: second, at: slot)
        #expect(try bytes(of: slot, in: first, backend) == bytes(of: slot, in: second, backend))
      }
      #expect(try bytes(of: 0, in: first, backend) != bytes(of: 1, in: first, backend))
    }
    try check(CPUBackend())
    try check(ReferenceBackend())
  }

  @Test func wrongSizesAreRefused() throws {
    func check(_ backend: some Backend) throws {
      let storage = try RandomExperts(Self.test.specification, seed: 1).store(on: backend)
      let before = try bytes(of: 0, in: storage, backend)
      for count in [0, before.count - 1, before.count + 1] {
        let bytes = [UInt8](repeating: 7, count: count)
        expectFaults([.invalidArgument], ["\(before.count) bytes"]) {
          try unsafe bytes.withUnsafeBytes {
            try unsafe backend.replace(LocalExpert(rawValue: 0), in: storage, with: $0)
          }
        }
      }
      #expect(try bytes(of: 0, in: storage, backend) == before)
      // Bytes of any alignment will do.
      try unsafe ([0] + before).withUnsafeBytes {
        try unsafe backend.replace(
          LocalExpert(rawValue: 1), in: storage, with: UnsafeRawBufferPointer(rebasing: $0[1...]))
      }
      #expect(try bytes(of: 1, in: storage, backend) == before)
      for slot in [-1, 4, .max] {
        expectFaults([.invalidArgument], ["slot"]) { _ = try bytes(of: slot, in: storage, backend) }
        expectFaults([.invalidArgument], ["slot"]) {
          try unsafe before.withUnsafeBytes {
            try unsafe backend.replace(LocalExpert(rawValue: slot), in: storage, with: $0)
          }
        }
        expectFaults([.invalidArgument], ["slot"]) {
          try RandomExperts(Self.test.specification, seed: 1).store(0, on: backend, in: storage, at: slot)
        }
      }
    }
    try check(CPUBackend())
    try check(ReferenceBackend())
  }

  /// Two slots may exchange bytes only where the identities are equal.
  @Test func identities() throws {
    var identities: Set<String> = []
    for type in [ElementType.bf16, .f16, .f32] {
      let specification = Self.test.changed { $0.elementType = type }.specification
      let identity = try CPUBackend().layout(of: specification).identity
      #expect(identities.insert(identity).inserted)
    }
    let specification = Self.test.specification
    for identity in [
      try ReferenceBackend().layout(of: specification).identity,
      try FakeDeviceBackend().layout(of: specification).identity,
    ] {
      #expect(identities.insert(identity).inserted)
    }
  }

  /// The views that balancers move: one region for each expert, all of an expert in it, and nothing that experts share.
  @Test func exportedWeights() throws {
    func check(_ backend: some Backend) throws {
      let random = RandomExperts(Self.test.specification, seed: 1)
      let experts = RoutedExperts(backend: backend, storage: try random.store(on: backend))
      let weights = try experts.weights
      #expect(weights.count == 4)
      #expect(try weights.identity == backend.layout(of: Self.test.specification).identity)
      let hidden = randomValues(6 * 37, seed: 2)
      let routing = try randomRouting(tokens: 6, topK: 2, experts: 4, seed: 3)
      let before = try experts.forward(hidden, routing: routing).routed
      // Experts 0 and 3 change places, and so do their ids.
      let regions = try [0, 3].map { slot in
        try unsafe weights.withBytes(of: LocalExpert(rawValue: slot)) { unsafe Array($0) }
      }
      #expect(regions.allSatisfy { $0.count == weights.bytesPerExpert })
      for (slot, bytes) in zip([3, 0], regions) {
        try unsafe bytes.withUnsafeBytes { try unsafe weights.replace(LocalExpert(rawValue: slot), with: $0) }
      }
      let swapped = try Routing(
        topK: 2, ids: routing.ids.map { [3, 1, 2, 0][Int($0)] }, weights: routing.weights)
      expectSameBits(try experts.forward(hidden, routing: swapped).routed, before, backend.name)
      #expect(throws: MoEError.self) { try unsafe weights.withBytes(of: LocalExpert(rawValue: 4)) { _ in } }
    }
    try check(CPUBackend())
    try check(ReferenceBackend())
  }

  @Test func neverStored() throws {
    func check(_ backend: some Backend) throws {
      let storage = try backend.allocate(backend.layout(of: Self.test.specification))
      try RandomExperts(Self.test.specification, seed: 1).store(1, on: backend, in: storage, at: 1)
      expectFault(.invalidArgument, "never stored") { _ = try bytes(of: 0, in: storage, backend) }
      let hidden = randomValues(37, seed: 2)
      _ = try backend.forward(storage, hidden: hidden, routing: Routing(topK: 1, ids: [1], weights: [1]))
      expectFault(.invalidArgument, "never stored") {
        _ = try backend.forward(storage, hidden: hidden, routing: Routing(topK: 2, ids: [1, 0], weights: [1, 1]))
      }
    }
    try check(CPUBackend())
    try check(ReferenceBackend())
  }
}
