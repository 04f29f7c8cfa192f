// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import MoE

// Tokens of its own on every rank.
extension RankedBatch {
  /// Rows go to the ranks that have their experts, once to each, and the results come back.
  mutating func allToAll(_ meanwhile: () throws(MoEError) -> Void) throws(MoEError) -> [Float] {
    let group = grid.experts
    let plan = DispatchPlan(physical, routing, map)
    let topK = routing.topK
    // How many tokens come from each rank, and of how many slots.
    let counts = try group.allGather(
      [Int64(topK)] + (plan.tokens.map(\.count) + plan.rowCounts).map { Int64($0) },
      counts: Array(repeating: 1 + 2 * group.size, count: group.size))
    try requireOneTopK(counts.map { Int($0[0]) })
    let tokenCounts = counts.map { Int($0[1 + group.rank]) }
    let rowCounts = counts.map { Int($0[1 + group.size + group.rank]) }
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
      sending: rowCounts.ranges(of: rowBytes).map { BufferRegion(computed.buffer, $0) },
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
