// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

extension ElementType {
  /// Whether `decode` knows the type: every type of whole bytes but complex numbers.
  public var isDecodable: Bool {
    switch self {
    case .f4, .f6e2m3, .f6e3m2, .c64: false
    default: true
    }
  }

  /// Decodes `count` little-endian elements to 32-bit floats.
  ///
  /// Exact for every type of at most 24 significant bits; F64 and the wider integers round to nearest. BOOL is 0 or 1.
  ///
  /// - Parameters:
  ///   - source: The first element; any alignment.
  ///   - count: The number of elements.
  ///   - stride: The distance of two elements, in elements.
  ///   - destination: Room for `count` floats, written without gaps.
  /// - Precondition: `isDecodable`.
  @unsafe
  public func decode(
    _ source: UnsafeRawPointer, count: Int, stride: Int = 1, into destination: UnsafeMutablePointer<Float>
  ) {
    switch self {
    case .f64: unsafe convert(source, count, stride, destination) { (v: UInt64) in Float(Double(bitPattern: v)) }
    case .f32: unsafe convert(source, count, stride, destination) { (v: UInt32) in Float(bitPattern: v) }
    case .f16: unsafe convert(source, count, stride, destination) { (v: UInt16) in Float(Float16(bitPattern: v)) }
    case .bf16: unsafe convert(source, count, stride, destination) { (v: UInt16) in BFloat16.decode(v) }
    case .f8e4m3, .f8e5m2, .f8e4m3fnuz, .f8e5m2fnuz:
      let table = miniFloat!.table
      unsafe convert(source, count, stride, destination) { (v: UInt8) in table[Int(v)] }
    case .f8e8m0: unsafe convert(source, count, stride, destination) { (v: UInt8) in E8M0.decode(v) }
    case .i64: unsafe convert(source, count, stride, destination) { (v: Int64) in Float(v) }
    case .u64: unsafe convert(source, count, stride, destination) { (v: UInt64) in Float(v) }
    case .i32: unsafe convert(source, count, stride, destination) { (v: Int32) in Float(v) }
    case .u32: unsafe convert(source, count, stride, destination) { (v: UInt32) in Float(v) }
    case .i16: unsafe convert(source, count, stride, destination) { (v: Int16) in Float(v) }
    case .u16: unsafe convert(source, count, stride, destination) { (v: UInt16) in Float(v) }
    case .i8: unsafe convert(source, count, stride, destination) { (v: Int8) in Float(v) }
    case .u8: unsafe convert(source, count, stride, destination) { (v: UInt8) in Float(v) }
    case .bool: unsafe convert(source, count, stride, destination) { (v: UInt8) in v == 0 ? 0 : 1 }
    case .f4, .f6e2m3, .f6e3m2, .c64: preconditionFailure("\(self) elements have no decoding to floats")
    }
  }

  /// Decodes all elements of `bytes`, e.g. of a router's weights.
  ///
  /// - Precondition: `isDecodable`, and `bytes` holds whole elements.
  public func decode(_ bytes: [UInt8]) -> [Float] {
    precondition(bytes.count % (bitWidth / 8) == 0, "\(bytes.count) bytes are no whole number of \(self) elements")
    let count = bytes.count / (bitWidth / 8)
    guard count > 0 else { return [] }
    return unsafe [Float](unsafeUninitializedCapacity: count) { floats, initialized in
      unsafe bytes.withUnsafeBytes { unsafe decode($0.baseAddress!, count: count, into: floats.baseAddress!) }
      initialized = count
    }
  }
}

/// One loop for all types: specialised for each, so that the compiler can vectorise it.
@inline(__always)
private func convert<Element: FixedWidthInteger & BitwiseCopyable>(
  _ source: UnsafeRawPointer, _ count: Int, _ stride: Int, _ destination: UnsafeMutablePointer<Float>,
  _ value: (Element) -> Float
) {
  let step = stride * MemoryLayout<Element>.stride
  if stride == 1 {
    for index in 0..<count {
      let offset = index * MemoryLayout<Element>.stride
      unsafe destination[index] = value(
        Element(littleEndian: source.loadUnaligned(fromByteOffset: offset, as: Element.self)))
    }
  } else {
    for index in 0..<count {
      let element = unsafe source.loadUnaligned(fromByteOffset: index * step, as: Element.self)
      unsafe destination[index] = value(Element(littleEndian: element))
    }
  }
}
