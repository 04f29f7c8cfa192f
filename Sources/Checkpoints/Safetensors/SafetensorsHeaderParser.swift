// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Tensors

/// Builds the records of a header and collects what is wrong with them.
struct SafetensorsHeaderParser {
  var reader: JSONReader
  let file: String
  let dataOffset: Int
  let dataSize: Int

  var entries: [Entry] = []
  var metadata: [String: String]? = nil
  var faults = FaultList()
  /// The last type met: most tensors of a checkpoint have the same few, and text is slow to compare with a table.
  var lastType = (ElementType.f32.rawValue, ElementType.f32)

  /// A tensor as far as it could be read. Offsets count from the start of the data.
  struct Entry {
    var name: String
    var elementType: ElementType? = nil
    var shape: Shape? = nil
    var begin = 0
    var end = 0
    var hasOffsets = false
  }

  /// - Precondition: `range` is in `bytes`, and its end in the file.
  init(_ bytes: [UInt8], range: Range<Int>, fileSize: Int, file: String) {
    reader = JSONReader(bytes, range: range, file: file)
    self.file = file
    dataOffset = range.upperBound
    dataSize = fileSize - range.upperBound
  }

  mutating func parse() throws(CheckpointError) -> (tensors: [TensorRecord], metadata: [String: String]) {
    // The reference lets white space precede; the specification does not.
    guard reader.peekByte() == 0x7B else {
      throw CheckpointError(
        Fault(
          .malformedHeader, "the header is not a JSON object", file: file, expected: "{ as its first byte",
          found: reader.peekByte().map { "0x" + String($0, radix: 16) } ?? "nothing"))
    }
    // No entry is shorter. (Room that is not used is never touched.)
    entries.reserveCapacity(
      (reader.end - reader.position) / "\"\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]},".utf8.count)
    try reader.beginObject()
    while let key = try reader.nextKey() {
      if key == "__metadata__" { try parseMetadata() } else { try parseEntry(named: key) }
    }
    try reader.finish()

    checkLayout()
    let records = makeRecords()
    try faults.check()
    return (records, metadata ?? [:])
  }

  mutating func addDuplicate(_ key: String, in name: String) {
    add(.duplicateKey, "key \"\(key)\" stands twice", subject: name)
  }

  mutating func add(
    _ code: Fault.Code, _ message: String, subject: String? = nil, expected: String? = nil, found: String? = nil,
    remedy: String? = nil
  ) {
    faults.append(
      Fault(code, message, file: file, subject: subject, expected: expected, found: found, remedy: remedy))
  }
}
