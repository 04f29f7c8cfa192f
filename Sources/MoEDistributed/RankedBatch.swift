// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import MoE

/// One forward over ranks. Messages lie in host memory; a backend's own buffers are filled from there.
struct RankedBatch<B: Backend, C: Communicator> where C.Buffer == HostBuffer {
  let backend: B
  let grid: RankGrid<C>
  let storage: B.Storage
  let map: ExpertMap
  /// `[tokens, H]`
  let hidden: [Float]
  let routing: Routing
  /// Slots of the placement, `[tokens, topK]`; −1 is skipped.
  let physical: [Int32]
  var clock = PhaseClock()

  init(backend: B, grid: RankGrid<C>, storage: B.Storage, map: ExpertMap, hidden: [Float], routing: Routing) {
    self.backend = backend
    self.grid = grid
    self.storage = storage
    self.map = map
    self.hidden = hidden
    self.routing = routing
    physical = map.placement.physicalIDs(of: routing)
  }

  var width: Int { backend.specification(of: storage).hiddenSize }
  var rowBytes: Int { backend.rowBytes(of: storage) }
}

// MARK: - What the ways of dispatch have in common

extension RankedBatch {
  /// Computes the rows of slots on this rank, one after the other in the order of the slots that aren't −1.
  ///
  /// - Parameters:
  ///   - hidden: f32 `[tokens, H]`.
  ///   - ids: `[tokens, topK]` local slots, −1 elsewhere.
  func rows(
    of hidden: BufferRegion<HostBuffer>, ids: [Int32], weights: [Float]
  ) throws(MoEError) -> BufferRegion<HostBuffer> {
    let count = ids.count { $0 >= 0 }
    let rows = BufferRegion(HostBuffer(byteCount: count * rowBytes), 0..<count * rowBytes)
    guard count > 0 else { return rows }
    let queue = try backend.makeQueue()
    let input = try backend.makeBuffer(byteCount: hidden.bytes.count)
    try unsafe backend.upload(UnsafeRawBufferPointer(hidden.buffer.slice(hidden.bytes)), to: input, on: queue)
    let output = try backend.makeBuffer(byteCount: rows.bytes.count)
    try backend.forwardRows(
      storage, hidden: input, ids: backend.makeBuffer(ids, on: queue),
      weights: backend.makeBuffer(weights, on: queue),
      indices: backend.makeBuffer(DispatchPlan.compactIndices(ids), on: queue), tokenCount: ids.count / routing.topK,
      topK: routing.topK, into: output, on: queue)
    try unsafe backend.download(output, to: rows.buffer.slice(rows.bytes), on: queue)
    return rows
  }

  /// Adds up the rows of tokens in slot order.
  ///
  /// - Parameter range: the tokens of `plan`.
  func sum(
    _ rows: HostBuffer, _ plan: DispatchPlan, tokens range: Range<Int>
  ) throws(MoEError) -> [Float] {
    guard !range.isEmpty else { return [] }
    let slots = range.lowerBound * routing.topK..<range.upperBound * routing.topK
    let queue = try backend.makeQueue()
    let input = try backend.makeBuffer(byteCount: max(rows.byteCount, 1))
    try unsafe backend.upload(UnsafeRawBufferPointer(rows.bytes), to: input, on: queue)
    let output = try backend.makeBuffer(byteCount: range.count * width * MemoryLayout<Float>.stride)
    try backend.combine(
      storage, rows: input, ids: backend.makeBuffer(Array(physical[slots]), on: queue),
      weights: backend.makeBuffer(Array(routing.weights[slots]), on: queue),
      indices: backend.makeBuffer(plan.indices, on: queue), tokenCount: range.count, topK: routing.topK, into: output,
      on: queue)
    return try backend.download(output, count: range.count * width, as: Float.self, on: queue)
  }

  /// Adds up what the slices of the experts gave.
  func overSlices(_ values: [Float]) throws(MoEError) -> [Float] {
    guard grid.tensor.size > 1 else { return values }
    return try grid.tensor.allReduce(values, by: .sum)
  }

  /// The local slot of each routed pair, −1 where it is another rank's.
  var localIDs: [Int32] {
    physical.map { slot in
      slot >= 0 && Int(map.owner[Int(slot)]) == map.rank ? map.place[Int(slot)] : -1
    }
  }
}
