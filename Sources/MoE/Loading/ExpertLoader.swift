// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Checkpoints
internal import Synchronization
public import Tensors

/// Carries out a ``LoadPlan`` with tensors that are pushed from memory, in any order and from any threads.
///
/// Tensors are pushed whole, under the names and with the shapes of the checkpoint that the plan was made for; what this
/// rank owns of them is copied. An expert goes into its slot when the last of its tensors has come. After ``finish()``
/// a second stream may replace all experts in place; while one is being replaced, its slot can't be read.
///
/// ```swift
/// let loader = ExpertLoader(plan, into: storage, of: backend)
/// for tensor in stream { try loader.push(tensor.name, tensor.elementType, tensor.shape, tensor.bytes) }
/// try loader.finish()
/// ```
public final class ExpertLoader<B: Backend>: Sendable {
  public let plan: LoadPlan
  private let backend: B
  private let storage: B.Storage
  /// Every tensor of the layer's experts, of this rank and of others.
  private let tensors: [String: TensorRecord]
  /// Who needs a tensor of this name.
  private let uses: [String: [Use]]
  /// The names of tensors with static input scales, of this rank and of others.
  private let inputScaleNames: Set<String>
  private let state: Mutex<State>
  private let scratches = BufferCache()

  /// A read of the plan.
  private struct Use: Hashable {
    var slot: Int
    var transfer: Int
    var read: Int
  }

  private struct State {
    /// The owned bytes of tensors of experts that are not complete, run after run.
    var bytes: [Use: [UInt8]] = [:]
    /// Reads that each slot still waits for.
    var missing: [Int]
    var pushed: Set<String> = []
    /// The tensors of static input scales, whole.
    var inputScales: [String: [UInt8]] = [:]
  }

  /// What a tensor was pushed for.
  public struct Parameter: Sendable, Hashable {
    public var slot: LocalExpert
    public var projections: [Projection]
    public var role: TensorRole
  }

  public enum Outcome: Sendable, Hashable {
    /// It is part of these parameters.
    case loaded([Parameter])
    /// Other ranks own all of it.
    case notLocal
  }

  public init(_ plan: LoadPlan, into storage: B.Storage, of backend: B) {
    self.plan = plan
    self.storage = storage
    self.backend = backend
    var uses: [String: [Use]] = [:]
    for (index, slot) in plan.slots.enumerated() {
      for (number, transfer) in slot.transfers.enumerated() {
        for (read, entry) in transfer.reads.enumerated() {
          uses[entry.piece.tensor.name, default: []].append(Use(slot: index, transfer: number, read: read))
        }
      }
    }
    self.uses = uses
    inputScaleNames = Set(plan.inputScaleReads.map(\.piece.tensor.name))
    tensors = Dictionary(
      plan.source.experts.joined().flatMap(\.pieces).map { ($0.tensor.name, $0.tensor) },
      uniquingKeysWith: { first, _ in first })
    state = Mutex(State(missing: Self.reads(plan)))
  }

  private static func reads(_ plan: LoadPlan) -> [Int] {
    plan.slots.map { $0.transfers.reduce(0) { $0 + $1.reads.count } }
  }

  /// Takes a whole tensor.
  ///
  /// - Parameters:
  ///   - name: as in the checkpoint.
  ///   - elementType: the type of its elements.
  ///   - shape: its whole shape.
  ///   - bytes: little-endian, as in a file.
  /// - Throws: `unexpectedTensor` for a name that the layer's experts don't have, `typeMismatch`, `shapeMismatch` and
  ///   `sizeMismatch` for another tensor than the plan was made for, `duplicateParameter` for the second of a name in
  ///   one stream, and what is wrong with the values of an expert that it completes.
  @unsafe
  @discardableResult
  public func push(
    _ name: String, _ elementType: ElementType, _ shape: Shape, _ bytes: UnsafeRawBufferPointer
  ) throws(MoEError) -> Outcome {
    guard let record = tensors[name] else {
      throw MoEError(
        .unexpectedTensor, "the layer's experts have no such tensor", subject: name,
        expected: "one of \(tensors.count) names such as \(tensors.keys.min() ?? "none")")
    }
    try check(record, elementType, shape, byteCount: bytes.count)
    if inputScaleNames.contains(name) {
      let copy = unsafe Array(bytes)
      state.withLock { $0.inputScales[name] = copy }
    }
    guard let uses = uses[name] else { return .notLocal }
    let copies = uses.map { use in
      let runs = read(use).runs.flatMap(\.ranges)
      var copy: [UInt8] = []
      copy.reserveCapacity(runs.reduce(0) { $0 + $1.count })
      for run in runs { unsafe copy.append(contentsOf: bytes[run]) }
      return (use, copy)
    }
    let complete = state.withLock { (state) -> [(slot: Int, bytes: [Use: [UInt8]])]? in
      guard state.pushed.insert(name).inserted else { return nil }
      for (use, copy) in copies {
        state.bytes[use] = copy
        state.missing[use.slot] -= 1
      }
      return Set(uses.map(\.slot)).filter { state.missing[$0] == 0 }.map { slot in
        let bytes = state.bytes.filter { $0.key.slot == slot }
        for use in bytes.keys { state.bytes[use] = nil }
        return (slot, bytes)
      }
    }
    guard let complete else {
      throw MoEError(.duplicateParameter, "the tensor was pushed before", subject: name)
    }
    for (slot, bytes) in complete { try store(slot, bytes) }
    return .loaded(uses.map(parameter))
  }

  /// Checks that every slot is filled, sets the static input scales, and makes ready for a stream that replaces all.
  ///
  /// - Throws: `missingTensor` for every tensor of this rank that was not pushed, and for every static input scale.
  public func finish() throws(MoEError) {
    let (pushed, inputScales) = state.withLock { ($0.pushed, $0.inputScales) }
    var faults = uses.keys.filter { !pushed.contains($0) }.sorted().map { name in
      let read = read(uses[name]![0])
      return Fault(
        .missingTensor, "the tensor was not pushed", subject: name,
        expected: "\(read.piece.tensor.elementType) \(read.piece.tensor.shape)",
        found: "slot(s) " + uses[name]!.map { String($0.slot) }.joined(separator: ", ") + " wait for it")
    }
    faults += inputScaleNames.filter { uses[$0] == nil && inputScales[$0] == nil }.sorted().map { name in
      Fault(
        .missingTensor, "the tensor was not pushed", subject: name,
        expected: "the static input scale of an expert of another rank")
    }
    guard faults.isEmpty else { throw MoEError(faults) }
    let scales = try unsafe plan.inputScales { piece, run, target in
      unsafe target.copyBytes(from: inputScales[piece.tensor.name]![run])
    }
    if let scales { try backend.setInputScales(scales, in: storage) }
    state.withLock { $0 = State(missing: Self.reads(plan)) }
  }

  private func read(_ use: Use) -> Transfer.Read { plan.slots[use.slot].transfers[use.transfer].reads[use.read] }

  private func parameter(_ use: Use) -> Parameter {
    let slot = plan.slots[use.slot]
    return Parameter(
      slot: slot.slot, projections: slot.transfers[use.transfer].projections, role: read(use).piece.role)
  }

  private func check(
    _ record: TensorRecord, _ elementType: ElementType, _ shape: Shape, byteCount: Int
  ) throws(MoEError) {
    var faults: [Fault] = []
    if elementType != record.elementType {
      faults.append(
        Fault(
          .typeMismatch, "the tensor is of another type than the plan was made for", subject: record.name,
          expected: record.elementType.rawValue, found: elementType.rawValue))
    }
    if shape != record.shape {
      faults.append(
        Fault(
          .shapeMismatch, "the tensor is of another shape than the plan was made for", subject: record.name,
          expected: "\(record.shape)", found: "\(shape)"))
    }
    if faults.isEmpty, byteCount != record.byteCount {
      faults.append(
        Fault(
          .sizeMismatch, "the tensor has not the bytes of its shape", subject: record.name,
          expected: "\(record.byteCount)", found: "\(byteCount)"))
    }
    guard faults.isEmpty else { throw MoEError(faults) }
  }

  private func store(_ index: Int, _ bytes: [Use: [UInt8]]) throws(MoEError) {
    let slot = plan.slots[index]
    var held: [MatrixSource.Piece: (bytes: [UInt8], next: Int)] = [:]
    for (use, copy) in bytes { held[read(use).piece] = (copy, 0) }
    try backend.begin(slot.slot, in: storage)
    for transfer in slot.transfers {
      let scratch = scratches.take(byteCount: transfer.scratchBytes)
      defer { scratches.give(scratch) }
      try unsafe plan.store(transfer, slot.slot, by: scratch, into: storage, of: backend) { piece, run, target in
        let next = held[piece]!.next
        unsafe target.copyBytes(from: held[piece]!.bytes[next..<next + run.count])
        held[piece]!.next = next + run.count
      }
    }
    try backend.finish(slot.slot, in: storage)
  }
}
