// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

extension ElementType {
  /// The elements of `bytes` as integers; nil for types other than whole numbers and booleans, and when a U64 is above
  /// the greatest `Int`.
  ///
  /// - Precondition: `bytes` holds whole elements.
  public func decodeIntegers(_ bytes: [UInt8]) -> [Int]? {
    switch self {
    case .i64: integers(bytes) { (v: Int64) in Int(v) }
    case .i32: integers(bytes) { (v: Int32) in Int(v) }
    case .u32: integers(bytes) { (v: UInt32) in Int(v) }
    case .i16: integers(bytes) { (v: Int16) in Int(v) }
    case .u16: integers(bytes) { (v: UInt16) in Int(v) }
    case .i8: integers(bytes) { (v: Int8) in Int(v) }
    case .u8: integers(bytes) { (v: UInt8) in Int(v) }
    case .bool: integers(bytes) { (v: UInt8) in v == 0 ? 0 : 1 }
    case .u64: integers(bytes) { (v: UInt64) in Int(exactly: v) }
    default: nil
    }
  }
}

@inline(__always)
private func integers<Element: FixedWidthInteger & BitwiseCopyable>(
  _ bytes: [UInt8], _ value: (Element) -> Int?
) -> [Int]? {
  let width = MemoryLayout<Element>.size
  precondition(bytes.count % width == 0, "\(bytes.count) bytes are no whole number of \(width)-byte elements")
  var integers: [Int] = []
  integers.reserveCapacity(bytes.count / width)
  for offset in stride(from: 0, to: bytes.count, by: width) {
    let element = unsafe bytes.withUnsafeBytes { unsafe $0.loadUnaligned(fromByteOffset: offset, as: Element.self) }
    guard let integer = value(Element(littleEndian: element)) else { return nil }
    integers.append(integer)
  }
  return integers
}
