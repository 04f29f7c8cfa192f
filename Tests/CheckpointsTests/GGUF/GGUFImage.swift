// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import Tensors

/// A GGUF file to be built, right or wrong: nothing is checked.
struct GGUFImage {
  struct Tensor {
    var name: [UInt8]
    /// Innermost first.
    var extents: [UInt64]
    var type: UInt32
    var offset: UInt64
    /// The rank that the file says, when it lies.
    var rank: UInt32?

    init(_ name: String, _ type: GGMLType, _ extents: UInt64..., offset: UInt64 = 0) {
      self.init(Array(name.utf8), type.rawValue, extents, offset: offset)
    }

    init(_ name: [UInt8], _ type: UInt32, _ extents: [UInt64], offset: UInt64 = 0, rank: UInt32? = nil) {
      (self.name, self.type, self.extents, self.offset, self.rank) = (name, type, extents, offset, rank)
    }
  }

  var magic = Array("GGUF".utf8)
  var version: UInt32 = 3
  /// Keys, and types and values as bytes.
  var fields: [(key: [UInt8], value: [UInt8])] = []
  var tensors: [Tensor] = []
  /// The counts that the file says, when it lies.
  var fieldCount: UInt64?
  var tensorCount: UInt64?
  var alignment = 32
  var dataSize = 0

  init(_ fields: [(String, [UInt8])] = [], tensors: [Tensor] = [], dataSize: Int = 0) {
    self.fields = fields.map { (Array($0.0.utf8), $0.1) }
    self.tensors = tensors
    self.dataSize = dataSize
  }

  /// The file up to its data.
  var header: [UInt8] {
    var bytes = magic + little(version)
    bytes += little(tensorCount ?? UInt64(tensors.count)) + little(fieldCount ?? UInt64(fields.count))
    for (key, value) in fields { bytes += little(UInt64(key.count)) + key + value }
    for tensor in tensors {
      bytes += little(UInt64(tensor.name.count)) + tensor.name
      bytes += little(tensor.rank ?? UInt32(tensor.extents.count)) + tensor.extents.flatMap { little($0) }
      bytes += little(tensor.type) + little(tensor.offset)
    }
    return bytes
  }

  var bytes: [UInt8] {
    let header = header
    return header + [UInt8](repeating: 0, count: (alignment - header.count % alignment) % alignment + dataSize)
  }

  /// Parses it.
  @discardableResult
  func parse() throws(CheckpointError) -> GGUFHeader {
    let bytes = bytes
    return try GGUFHeader(parsing: bytes, fileSize: bytes.count, file: "test.gguf")
  }
}

func little<Number: FixedWidthInteger>(_ number: Number) -> [UInt8] {
  (0..<Number.bitWidth / 8).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) }
}

/// Metadata values with their types.
enum Field {
  static func u8(_ value: UInt8) -> [UInt8] { little(0 as UInt32) + [value] }
  static func i8(_ value: Int8) -> [UInt8] { little(1 as UInt32) + little(value) }
  static func u16(_ value: UInt16) -> [UInt8] { little(2 as UInt32) + little(value) }
  static func i16(_ value: Int16) -> [UInt8] { little(3 as UInt32) + little(value) }
  static func u32(_ value: UInt32) -> [UInt8] { little(4 as UInt32) + little(value) }
  static func i32(_ value: Int32) -> [UInt8] { little(5 as UInt32) + little(value) }
  static func f32(_ value: Float) -> [UInt8] { little(6 as UInt32) + little(value.bitPattern) }
  static func bool(_ value: UInt8) -> [UInt8] { little(7 as UInt32) + [value] }
  static func string(_ value: String) -> [UInt8] { string(Array(value.utf8)) }
  static func string(_ value: [UInt8]) -> [UInt8] { little(8 as UInt32) + little(UInt64(value.count)) + value }
  static func u64(_ value: UInt64) -> [UInt8] { little(10 as UInt32) + little(value) }
  static func i64(_ value: Int64) -> [UInt8] { little(11 as UInt32) + little(value) }
  static func f64(_ value: Double) -> [UInt8] { little(12 as UInt32) + little(value.bitPattern) }

  /// Of values with their types, which must be the same; `count` and `type` when the file lies.
  static func array(_ values: [[UInt8]], type: UInt32? = nil, count: UInt64? = nil) -> [UInt8] {
    let elementType = type.map { little($0) } ?? values.first.map { Array($0.prefix(4)) } ?? little(4 as UInt32)
    return little(9 as UInt32) + elementType + little(count ?? UInt64(values.count))
      + values.flatMap { $0.dropFirst(4) }
  }
}
