// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import MoE

// All tokens on every rank.
extension RankedBatch {
  /// Every rank adds up its own experts' rows, then all ranks add up the sums.
  mutating func allReduce(_ meanwhile: () throws(MoEError) -> Void) throws(MoEError) -> [Float] {
    var local = routing
    local.ids = localIDs
    let sums = try backend.forward(storage, hidden: hidden, routing: local)
    try meanwhile()
    clock.lap(\.compute)
    let group = grid.experts.size == 1 ? grid.tensor : grid.members
    let output = group.size == 1 ? sums : try group.allReduce(sums, by: .sum)
    clock.lap(\.combine)
    return output
  }

  /// Every rank computes its experts' rows; those of a token go to the rank that adds up its share of the tokens, and the
  /// sums go to all.
  mutating func allTokens(_ meanwhile: () throws(MoEError) -> Void) throws(MoEError) -> [Float] {
    let group = grid.experts
    let shares = (0..<group.size).map { rank in
      routing.tokenCount * rank / group.size..<routing.tokenCount * (rank + 1) / group.size
    }
    let computed = try rows(of: HostBuffer.region(holding: hidden), ids: localIDs, weights: routing.weights)
    clock.lap(\.compute)

    // Every rank knows the routing, and so how many rows come from where. That it is the same one, the digest shows.
    let plans = shares.map { DispatchPlan(physical, routing, map, tokens: $0) }
    let own = plans[group.rank]
    let received = HostBuffer(byteCount: own.rowCount * rowBytes)
    let digests = HostBuffer(byteCount: group.size * MemoryLayout<UInt64>.stride)
    let routed = routing.digest
    let digest = try HostBuffer.region(holding: [routed])
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
    try requireOne(routed, digests.array(0..<digests.byteCount))
    let sums = try overSlices(sum(received, own, tokens: shares[group.rank]))
    let output = try group.allGather(sums, counts: shares.map { $0.count * width }).flatMap(\.self)
    clock.lap(\.combine)
    return output
  }

  private func requireOne(_ digest: UInt64, _ digests: [UInt64]) throws(MoEError) {
    let others = digests.indices.filter { digests[$0] != digest }
    guard !others.isEmpty else { return }
    let ranks = others.map { String(grid.experts.worldRanks[$0]) }.joined(separator: ", ")
    throw MoEError(
      .differingRanks,
      "ranks \(ranks) route this batch otherwise than rank \(grid.world.worldRanks[grid.world.rank])",
      remedy: "give all ranks the same tokens, on processors with the same instructions (or set MOE_ISA)")
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
