// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Tensors

extension GGUFHeaderParser {
  /// A key and its value.
  mutating func parseField() throws(CheckpointError) {
    let place = "byte \(cursor.position)"
    let key = try cursor.readString("a metadata key")
    if let key {
      checkKey(key)
    } else {
      add(.invalidUTF8, "a metadata key is not UTF-8", subject: place)
    }
    let subject = key ?? place
    let start = cursor.position
    let type = try parseType(subject)
    let value = try parseValue(type, subject, depth: 0)
    if let key { valuePlaces[key] = start..<cursor.position }
    if key == "general.alignment" { setAlignment(type, value) }
    if let key, metadata.updateValue(value, forKey: key) != nil {
      add(.duplicateKey, "the key stands twice in the metadata", subject: key)
    }
  }

  private mutating func checkKey(_ key: String) {
    let bytes = key.utf8.span
    if bytes.isEmpty || bytes.count > GGUFHeader.keyLengthLimit {
      add(
        .malformedHeader, "the length of a metadata key", subject: quoted(key),
        expected: "1 to \(GGUFHeader.keyLengthLimit) bytes", found: "\(bytes.count)")
    } else if bytes.indices.contains(where: { bytes[$0] < 0x20 || bytes[$0] == 0x7F }) {
      add(.malformedHeader, "a control character in a metadata key", subject: quoted(key))
    }
  }

  private mutating func parseType(_ key: String) throws(CheckpointError) -> GGUFValueType {
    let number = try cursor.read(UInt32.self, "the type of a metadata value")
    guard let type = GGUFValueType(rawValue: number) else {
      // What follows could be anything: there is no way on from here.
      throw CheckpointError(
        Fault(
          .malformedHeader, "a type of metadata that does not exist", file: cursor.file, subject: key,
          expected: "0 to \(GGUFValueType.allCases.count - 1)", found: "\(number)"))
    }
    return type
  }

  private mutating func parseValue(
    _ type: GGUFValueType, _ key: String, depth: Int
  ) throws(CheckpointError) -> JSONValue {
    let what = "a metadata value"
    switch type {
    case .uint8: return .integer(Int(try cursor.read(UInt8.self, what)))
    case .int8: return .integer(Int(Int8(bitPattern: try cursor.read(UInt8.self, what))))
    case .uint16: return .integer(Int(try cursor.read(UInt16.self, what)))
    case .int16: return .integer(Int(Int16(bitPattern: try cursor.read(UInt16.self, what))))
    case .uint32: return .integer(Int(try cursor.read(UInt32.self, what)))
    case .int32: return .integer(Int(Int32(bitPattern: try cursor.read(UInt32.self, what))))
    case .int64: return .integer(Int(Int64(bitPattern: try cursor.read(UInt64.self, what))))
    case .uint64:
      let number = try cursor.read(UInt64.self, what)
      return Int(exactly: number).map { .integer($0) } ?? .number(Double(number))
    case .float32: return .number(Double(Float(bitPattern: try cursor.read(UInt32.self, what))))
    case .float64: return .number(Double(bitPattern: try cursor.read(UInt64.self, what)))
    case .bool:
      let byte = try cursor.read(UInt8.self, what)
      if byte > 1 { add(.malformedHeader, "a boolean that is neither 0 nor 1", subject: key, found: "\(byte)") }
      return .bool(byte != 0)
    case .string:
      guard let text = try cursor.readString(what) else {
        add(.invalidUTF8, "a string that is not UTF-8", subject: key)
        return .null
      }
      return .string(text)
    case .array: return .array(try parseArray(key, depth: depth))
    }
  }

  private mutating func parseArray(_ key: String, depth: Int) throws(CheckpointError) -> [JSONValue] {
    guard depth < GGUFHeader.depthLimit else {
      throw CheckpointError(
        Fault(.malformedHeader, "more than \(GGUFHeader.depthLimit) levels of arrays", file: cursor.file, subject: key))
    }
    let type = try parseType(key)
    let count = try cursor.readCount(size: type.minimumSize, "the length of an array (\(key))")
    elementCount += count
    guard elementCount <= GGUFHeader.elementLimit else {
      throw CheckpointError(
        Fault(
          .tooLarge, "too many elements in the arrays of the metadata", file: cursor.file, subject: key,
          expected: "at most \(GGUFHeader.elementLimit)", found: "\(elementCount)"))
    }
    var values: [JSONValue] = []
    values.reserveCapacity(count)
    for _ in 0..<count { values.append(try parseValue(type, key, depth: depth + 1)) }
    return values
  }

  private mutating func setAlignment(_ type: GGUFValueType, _ value: JSONValue) {
    alignment = nil
    guard type == .uint32, let number = value.integer else {
      return add(
        .malformedHeader, "the alignment has the wrong type", subject: "general.alignment", expected: "uint32",
        found: "\(type)")
    }
    guard number > 0, number & (number - 1) == 0 else {
      return add(
        .malformedHeader, "an alignment that is not possible", subject: "general.alignment",
        expected: "a power of two", found: "\(number)")
    }
    alignment = number
  }
}
