// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// The type of a metadata value; the raw value is its id in the file.
enum GGUFValueType: UInt32, CaseIterable {
  case uint8 = 0
  case int8, uint16, int16, uint32, int32, float32, bool, string, array, uint64, int64, float64

  /// Bytes that a value has at least: all of a number, the length of a string, the type and length of an array.
  var minimumSize: Int {
    switch self {
    case .uint8, .int8, .bool: 1
    case .uint16, .int16: 2
    case .uint32, .int32, .float32: 4
    case .uint64, .int64, .float64, .string: 8
    case .array: 12
    }
  }
}
