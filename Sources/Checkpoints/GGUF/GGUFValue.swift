// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// A metadata value of a GGUF file, with its type.
///
/// ```swift
/// let metadata: [String: GGUFValue] = ["general.architecture": .string("llama"), "llama.expert_count": .uint32(8)]
/// ```
public enum GGUFValue: Sendable, Hashable {
  case uint8(UInt8)
  case int8(Int8)
  case uint16(UInt16)
  case int16(Int16)
  case uint32(UInt32)
  case int32(Int32)
  case uint64(UInt64)
  case int64(Int64)
  case float32(Float)
  case float64(Double)
  case bool(Bool)
  case string(String)
  case strings([String])
  case int32s([Int32])
  case float32s([Float])
  case bools([Bool])
  /// A type and a value as they stand in another file; see ``GGUFFile/values()``.
  case stored([UInt8])
}

extension GGUFValue {
  /// The type and the value as they stand in a file.
  var bytes: [UInt8] {
    switch self {
    case .uint8(let value): GGUFValueType.uint8.bytes + value.bytes
    case .int8(let value): GGUFValueType.int8.bytes + value.bytes
    case .uint16(let value): GGUFValueType.uint16.bytes + value.bytes
    case .int16(let value): GGUFValueType.int16.bytes + value.bytes
    case .uint32(let value): GGUFValueType.uint32.bytes + value.bytes
    case .int32(let value): GGUFValueType.int32.bytes + value.bytes
    case .uint64(let value): GGUFValueType.uint64.bytes + value.bytes
    case .int64(let value): GGUFValueType.int64.bytes + value.bytes
    case .float32(let value): GGUFValueType.float32.bytes + value.bitPattern.bytes
    case .float64(let value): GGUFValueType.float64.bytes + value.bitPattern.bytes
    case .bool(let value): GGUFValueType.bool.bytes + [value ? 1 : 0]
    case .string(let value): GGUFValueType.string.bytes + value.ggufBytes
    case .strings(let values): Self.array(.string, values.map(\.ggufBytes))
    case .int32s(let values): Self.array(.int32, values.map(\.bytes))
    case .float32s(let values): Self.array(.float32, values.map(\.bitPattern.bytes))
    case .bools(let values): Self.array(.bool, values.map { [$0 ? 1 : 0] })
    case .stored(let bytes): bytes
    }
  }

  private static func array(_ type: GGUFValueType, _ elements: [[UInt8]]) -> [UInt8] {
    GGUFValueType.array.bytes + type.bytes + UInt64(elements.count).bytes + elements.flatMap(\.self)
  }
}

extension GGUFValueType {
  fileprivate var bytes: [UInt8] { rawValue.bytes }
}

extension FixedWidthInteger {
  /// Little-endian.
  var bytes: [UInt8] { (0..<Self.bitWidth / 8).map { UInt8(truncatingIfNeeded: self >> (8 * $0)) } }
}

extension String {
  /// The length and the text in UTF-8.
  var ggufBytes: [UInt8] { UInt64(utf8.count).bytes + Array(utf8) }
}
