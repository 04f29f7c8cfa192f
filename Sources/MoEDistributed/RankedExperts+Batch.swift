// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import MoE

// What the ways of dispatch have in common. Messages lie in host memory; a backend's own buffers are filled from there.
extension RankedExperts.Batch {
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
      state.storage, hidden: input, ids: backend.makeBuffer(ids, on: queue),
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
      state.storage, rows: input, ids: backend.makeBuffer(Array(physical[slots]), on: queue),
      weights: backend.makeBuffer(Array(routing.weights[slots]), on: queue),
      indices: backend.makeBuffer(plan.indices, on: queue), tokenCount: range.count, topK: routing.topK, into: output,
      on: queue)
    return try backend.download(output, count: range.count * width, as: Float.self, on: queue)
  }

  /// Adds up what the slices of the experts gave.
  func overSlices(_ values: [Float]) throws(MoEError) -> [Float] {
    guard state.grid.tensor.size > 1 else { return values }
    return try state.grid.tensor.allReduce(values, by: .sum)
  }

  /// The local slot of each routed pair, −1 where it is another rank's.
  var localIDs: [Int32] {
    physical.map { slot in
      slot >= 0 && Int(state.map.owner[Int(slot)]) == state.map.rank ? state.map.place[Int(slot)] : -1
    }
  }
}

// MARK: - All tokens on every rank

extension RankedExperts.Batch {
  /// Every rank adds up its own experts' rows, then all ranks add up the sums.
  mutating func allReduce(_ meanwhile: () throws(MoEError) -> Void) throws(MoEError) -> [Float] {
    var local = routing
    local.ids = localIDs
    let sums = try backend.forward(state.storage, hidden: hidden, routing: local)
    try meanwhile()
    clock.lap(\.compute)
    let group = state.grid.experts.size == 1 ? state.grid.tensor : state.grid.world
    let output = group.size == 1 ? sums : try group.allReduce(sums, by: .sum)
    clock.lap(\.combine)
    return output
  }

  /// Every rank computes its experts' rows; those of a token go to the rank that adds up its share of the tokens, and the
  /// sums go to all.
  mutating func allTokens(_ meanwhile: () throws(MoEError) -> Void) throws(MoEError) -> [Float] {
    let group = state.grid.experts
    let shares = (0..<group.size).map { rank in
      routing.tokenCount * rank / group.size..<routing.tokenCount * (rank + 1) / group.size
    }
    let computed = try rows(of: HostBuffer.region(holding: hidden), ids: localIDs, weights: routing.weights)
    clock.lap(\.compute)

    // Every rank knows the routing, and so how many rows come from where. That it is the same one, the digest shows.
    let plans = shares.map { DispatchPlan(physical, routing, state.map, tokens: $0) }
    let own = plans[group.rank]
    let received = HostBuffer(byteCount: own.rowCount * rowBytes)
    let digests = HostBuffer(byteCount: group.size * MemoryLayout<UInt64>.stride)
    let digest = try HostBuffer.region(holding: [routing.digest])
    var exchange = Exchange<HostBuffer>()
    let outgoing = plans.map { $0.rowCounts[group.rank] }.ranges(of: rowBytes)
    let incoming = own.rowCounts.ranges(of: rowBytes)
    for peer in 0..<group.size {
      exchange.send(digest, to: peer)
      exchange.receive(BufferRegion(digests, peer * 8..<peer * 8 + 8), from: peer)
      exchange.send(BufferRegion(computed.buffer, outgoing[peer]), to: peer)
      exchange.receive(BufferRegion(received, incoming[peer]), from: peer)
    }
    let pending = try group.start(exchange)
    try meanwhile()
    clock.lap(\.compute)
    try pending.wait()
    try requireOneRouting(digests.array(0..<digests.byteCount))
    let sums = try overSlices(sum(received, own, tokens: shares[group.rank]))
    let output = try group.allGather(sums, counts: shares.map { $0.count * width }).flatMap(\.self)
    clock.lap(\.combine)
    return output
  }

  private func requireOneRouting(_ digests: [UInt64]) throws(MoEError) {
    let others = digests.indices.filter { digests[$0] != routing.digest }
    guard !others.isEmpty else { return }
    let ranks = others.map { String(state.grid.experts.worldRanks[$0]) }.joined(separator: ", ")
    throw MoEError(
      .differingRanks,
      "ranks \(ranks) route this batch otherwise than rank \(state.grid.world.worldRanks[state.grid.world.rank])",
      remedy: "give all ranks the same tokens, on processors with the same instructions (or set MOE_ISA)")
  }
}

// MARK: - Tokens of its own on every rank

extension RankedExperts.Batch {
  /// Rows go to the ranks that have their experts, once to each, and the results come back.
  mutating func allToAll(_ meanwhile: () throws(MoEError) -> Void) throws(MoEError) -> [Float] {
    let group = state.grid.experts
    let plan = DispatchPlan(physical, routing, state.map)
    let topK = routing.topK
    // How many tokens come from each rank, and of how many slots.
    let counts = try group.allToAll(
      plan.tokens.indices.map { [Int64(plan.tokens[$0].count), Int64(plan.rowCounts[$0]), Int64(topK)] })
    try requireOneTopK(counts.map { Int($0[2]) })
    let tokenCounts = counts.map { Int($0[0]) }
    let total = tokenCounts.reduce(0, +)

    let hiddenBytes = width * MemoryLayout<Float>.stride
    let slotBytes = topK * MemoryLayout<Int32>.stride
    let (ids, weights) = (HostBuffer(byteCount: total * slotBytes), HostBuffer(byteCount: total * slotBytes))
    let input = HostBuffer(byteCount: total * hiddenBytes)
    var exchange = Exchange<HostBuffer>()
    for peer in 0..<group.size {
      exchange.send(try HostBuffer.region(holding: plan.ids[peer]), to: peer)
      exchange.send(try HostBuffer.region(holding: plan.weights[peer]), to: peer)
      exchange.send(
        try HostBuffer.region(holding: plan.tokens[peer].flatMap { hidden[$0 * width..<($0 + 1) * width] }), to: peer)
      exchange.receive(BufferRegion(ids, tokenCounts.ranges(of: slotBytes)[peer]), from: peer)
      exchange.receive(BufferRegion(weights, tokenCounts.ranges(of: slotBytes)[peer]), from: peer)
      exchange.receive(BufferRegion(input, tokenCounts.ranges(of: hiddenBytes)[peer]), from: peer)
    }
    clock.lap(\.dispatch)
    let pending = try group.start(exchange)
    try meanwhile()
    clock.lap(\.compute)
    try pending.wait()
    clock.lap(\.dispatch)

    let computed = try rows(
      of: BufferRegion(input, 0..<total * hiddenBytes), ids: ids.array(0..<total * slotBytes),
      weights: weights.array(0..<total * slotBytes))
    clock.lap(\.compute)

    let received = HostBuffer(byteCount: plan.rowCount * rowBytes)
    try group.allToAll(
      sending: counts.map { Int($0[1]) }.ranges(of: rowBytes).map { BufferRegion(computed.buffer, $0) },
      receiving: plan.rowCounts.ranges(of: rowBytes).map { BufferRegion(received, $0) })
    let output = try overSlices(sum(received, plan, tokens: 0..<routing.tokenCount))
    clock.lap(\.combine)
    return output
  }

  private func requireOneTopK(_ values: [Int]) throws(MoEError) {
    guard values.contains(where: { $0 != routing.topK }) else { return }
    throw MoEError(
      .differingRanks, "ranks route their tokens to different numbers of experts", expected: "\(routing.topK)",
      found: "\(values)")
  }
}

extension Routing {
  /// Equal for equal routings.
  var digest: UInt64 {
    var digest = ContentDigest()
    unsafe ids.withUnsafeBytes { unsafe digest.add(Array($0)) }
    unsafe weights.withUnsafeBytes { unsafe digest.add(Array($0)) }
    return digest.value
  }
}
