// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import Tensors

/// A number that ranks can fold.
public protocol ReducibleNumber: BitwiseCopyable {
  static var elementType: ElementType { get }
}

extension Float: ReducibleNumber { public static var elementType: ElementType { .f32 } }
extension Double: ReducibleNumber { public static var elementType: ElementType { .f64 } }
extension Int64: ReducibleNumber { public static var elementType: ElementType { .i64 } }

// Collectives on arrays.
extension Communicator where Buffer == HostBuffer {
  /// Element by element the sum or the greatest of all ranks' arrays, which are of one length.
  public func allReduce<Number: ReducibleNumber>(
    _ values: [Number], by reduction: Reduction
  ) throws(MoEError) -> [Number] {
    let region = try HostBuffer.region(holding: values)
    try allReduce(region, of: Number.elementType, by: reduction)
    return try region.buffer.array(region.bytes)
  }

  /// The arrays of all ranks, of one known length each.
  public func allGather<Element: BitwiseCopyable>(
    _ values: [Element], counts: [Int]
  ) throws(MoEError) -> [[Element]] {
    let stride = MemoryLayout<Element>.stride
    let buffer = HostBuffer(byteCount: counts.reduce(0, +) * stride)
    var offset = 0
    let regions = counts.map { count in
      defer { offset += count * stride }
      return BufferRegion(buffer, offset..<offset + count * stride)
    }
    try buffer.write(values, at: regions[rank].bytes.lowerBound)
    try allGather(regions)
    var arrays: [[Element]] = []
    for region in regions { arrays.append(try buffer.array(region.bytes)) }
    return arrays
  }

  /// The arrays of all ranks, of any lengths.
  public func allGather<Element: BitwiseCopyable>(_ values: [Element]) throws(MoEError) -> [[Element]] {
    let counts = try allGather([Int64(values.count)], counts: Array(repeating: 1, count: size))
    return try allGather(values, counts: counts.map { Int($0[0]) })
  }

  /// Sends `arrays[r]` to rank r; returns what each rank sent here.
  public func allToAll<Element: BitwiseCopyable>(_ arrays: [[Element]]) throws(MoEError) -> [[Element]] {
    let counts = try allGather(arrays.map { Int64($0.count) }, counts: Array(repeating: size, count: size))
    var sending: [BufferRegion<HostBuffer>] = []
    for array in arrays { sending.append(try HostBuffer.region(holding: array)) }
    let receiving = counts.map { counts in
      let byteCount = Int(counts[rank]) * MemoryLayout<Element>.stride
      return BufferRegion(HostBuffer(byteCount: byteCount), 0..<byteCount)
    }
    try allToAll(sending: sending, receiving: receiving)
    var received: [[Element]] = []
    for region in receiving { received.append(try region.buffer.array(region.bytes)) }
    return received
  }

  /// One rank's array on all ranks.
  public func broadcast<Element: BitwiseCopyable>(_ values: [Element], from root: Int) throws(MoEError) -> [Element] {
    try allGather(rank == root ? values : [])[root]
  }
}
