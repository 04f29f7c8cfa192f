// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import Tensors

// What a communicator on host memory needs beside its exchange.
extension Communicator where Buffer == HostBuffer {
  public func makeBuffer(byteCount: Int) throws(MoEError) -> HostBuffer { HostBuffer(byteCount: byteCount) }

  public func fold(
    _ source: BufferRegion<HostBuffer>, into target: BufferRegion<HostBuffer>, of type: ElementType,
    by reduction: Reduction
  ) throws(MoEError) {
    func fold<Number: BitwiseCopyable>(_ operation: (Number, Number) -> Number) throws(MoEError) {
      let values = unsafe try source.buffer.slice(source.bytes).assumingMemoryBound(to: Number.self)
      let sums = unsafe try target.buffer.slice(target.bytes).assumingMemoryBound(to: Number.self)
      for index in 0..<min(values.count, sums.count) {
        unsafe sums[index] = unsafe operation(sums[index], values[index])
      }
    }
    func fold<Number: AdditiveArithmetic & Comparable & BitwiseCopyable>(_ type: Number.Type) throws(MoEError) {
      switch reduction {
      case .sum: try fold { (a: Number, b: Number) in a + b }
      case .maximum: try fold { (a: Number, b: Number) in max(a, b) }
      }
    }
    switch type {
    case .f32: try fold(Float.self)
    case .f64: try fold(Double.self)
    case .i64: try fold(Int64.self)
    default:
      throw MoEError(
        .invalidArgument, "ranks can't fold numbers of this type", expected: "F32, F64 or I64", found: "\(type)")
    }
  }
}

extension HostBuffer {
  /// The memory of a range of bytes.
  package func slice(_ range: Range<Int>) throws(MoEError) -> UnsafeMutableRawBufferPointer {
    guard range.lowerBound >= 0, range.upperBound <= byteCount else {
      throw MoEError(
        .invalidArgument, "a region lies outside of its buffer", expected: "within 0..<\(byteCount)", found: "\(range)")
    }
    return unsafe UnsafeMutableRawBufferPointer(rebasing: bytes[range])
  }

  /// The whole of a new buffer that holds the values of an array.
  package static func region<Element: BitwiseCopyable>(
    holding values: [Element]
  ) throws(MoEError) -> BufferRegion<HostBuffer> {
    let byteCount = values.count * MemoryLayout<Element>.stride
    let buffer = HostBuffer(byteCount: byteCount)
    try buffer.write(values, at: 0)
    return BufferRegion(buffer, 0..<byteCount)
  }

  /// Copies an array to an offset in bytes.
  package func write<Element: BitwiseCopyable>(_ values: [Element], at offset: Int) throws(MoEError) {
    let target = unsafe try slice(offset..<offset + values.count * MemoryLayout<Element>.stride)
    unsafe values.withUnsafeBytes { unsafe target.copyMemory(from: $0) }
  }

  /// The elements of a range of bytes.
  package func array<Element: BitwiseCopyable>(_ range: Range<Int>) throws(MoEError) -> [Element] {
    let source = unsafe try slice(range)
    let count = range.count / MemoryLayout<Element>.stride
    // All threads share the one empty array; this initializer would write its count, 0, all the same.
    guard count > 0 else { return [] }
    return unsafe [Element](unsafeUninitializedCapacity: count) { target, initialized in
      unsafe UnsafeMutableRawBufferPointer(target).copyMemory(from: UnsafeRawBufferPointer(source))
      initialized = count
    }
  }
}
