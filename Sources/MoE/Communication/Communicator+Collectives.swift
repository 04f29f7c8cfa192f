// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import Tensors

extension Communicator {
  /// Sends and receives, and returns when everything has come.
  public func exchange(_ exchange: Exchange<Buffer>) throws(MoEError) { try start(exchange).wait() }

  /// All-to-all of any lengths: `sending[r]` goes to rank r, `receiving[r]` comes from it.
  public func allToAll(
    sending: [BufferRegion<Buffer>], receiving: [BufferRegion<Buffer>]
  ) throws(MoEError) {
    var exchange = Exchange<Buffer>()
    for (peer, region) in sending.enumerated() { exchange.send(region, to: peer) }
    for (peer, region) in receiving.enumerated() { exchange.receive(region, from: peer) }
    try self.exchange(exchange)
  }

  /// All-gather of any lengths: region r is read on rank r and written on all others.
  public func allGather(_ regions: [BufferRegion<Buffer>]) throws(MoEError) {
    var exchange = Exchange<Buffer>()
    for peer in regions.indices where peer != rank {
      exchange.send(regions[rank], to: peer)
      exchange.receive(regions[peer], from: peer)
    }
    try self.exchange(exchange)
  }

  /// Copies a region of one rank to all.
  public func broadcast(_ region: BufferRegion<Buffer>, from root: Int) throws(MoEError) {
    var exchange = Exchange<Buffer>()
    if rank != root {
      exchange.receive(region, from: root)
    } else {
      for peer in 0..<size where peer != root { exchange.send(region, to: peer) }
    }
    try self.exchange(exchange)
  }

  /// Returns when every rank has called it.
  public func barrier() throws(MoEError) {
    let buffer = try makeBuffer(byteCount: size)
    try allGather((0..<size).map { BufferRegion(buffer, $0..<$0 + 1) })
  }

  /// Every element becomes the sum or the greatest of all ranks' elements.
  ///
  /// Each rank folds a share of the elements in the order of ranks and hands it out, so the bits are the same on all
  /// ranks, from run to run, and each element travels twice.
  public func allReduce(
    _ region: BufferRegion<Buffer>, of type: ElementType, by reduction: Reduction
  ) throws(MoEError) {
    let width = type.bitWidth / 8
    let count = region.bytes.count / width
    let shares = (0..<size).map { rank in
      let start = region.bytes.lowerBound
      return BufferRegion(
        region.buffer, start + count * rank / size * width..<start + count * (rank + 1) / size * width)
    }
    let length = shares[rank].bytes.count
    let others = try makeBuffer(byteCount: length * size)
    let copies = (0..<size).map { BufferRegion(others, $0 * length..<($0 + 1) * length) }
    try allToAll(sending: shares, receiving: copies)
    for copy in copies.dropFirst() { try fold(copy, into: copies[0], of: type, by: reduction) }
    var handOut = Exchange<Buffer>()
    for peer in 0..<size {
      handOut.send(copies[0], to: peer)
      handOut.receive(shares[peer], from: peer)
    }
    try exchange(handOut)
  }
}
