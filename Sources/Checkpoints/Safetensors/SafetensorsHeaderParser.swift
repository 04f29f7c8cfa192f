// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Tensors

/// Builds the records of a header and collects what is wrong with them.
struct SafetensorsHeaderParser {
  private var reader: JSONReader
  private let file: String
  private let dataOffset: Int
  private let dataSize: Int

  private var entries: [Entry] = []
  private var metadata: [String: String]? = nil
  private var faults = FaultList()
  /// The last type met: most tensors of a checkpoint have the same few, and text is slow to compare with a table.
  private var lastType = ("", ElementType.f32)

  /// A tensor as far as it could be read. Offsets count from the start of the data.
  private struct Entry {
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
}

// MARK: - Members

extension SafetensorsHeaderParser {
  private mutating func parseMetadata() throws(CheckpointError) {
    if metadata != nil { add(.duplicateKey, "__metadata__ stands twice") }
    var texts: [String: String] = [:]
    if try expect(.object, subject: "__metadata__", "the metadata are not an object") {
      try reader.beginObject()
      while let key = try reader.nextKey() {
        guard try expect(.string, subject: "__metadata__", "the value of \(quoted(key)) is not a string") else { continue }
        if texts.updateValue(try reader.readString(), forKey: key) != nil {
          add(.duplicateKey, "key \(quoted(key)) stands twice", subject: "__metadata__")
        }
      }
    }
    metadata = texts
  }

  private mutating func parseEntry(named name: String) throws(CheckpointError) {
    var entry = Entry(name: name)
    if let fault = Self.faultInName(name) { faults.append(fault(file)) }
    guard try expect(.object, subject: name, "the entry of a tensor is not an object") else { return }
    var hasType = false
    var hasShape = false
    var hasOffsets = false
    try reader.beginObject()
    while let key = try reader.nextKey() {
      switch key {
      case "dtype":
        if hasType { addDuplicate(key, in: name) }
        hasType = true
        entry.elementType = try parseElementType(of: name)
      case "shape":
        if hasShape { addDuplicate(key, in: name) }
        hasShape = true
        entry.shape = try parseShape(of: name)
      case "data_offsets":
        if hasOffsets { addDuplicate(key, in: name) }
        hasOffsets = true
        try parseOffsets(of: &entry)
      default:
        add(
          .malformedHeader, "unknown key \(quoted(key))", subject: name, expected: "dtype, shape and data_offsets only")
        try reader.skipValue()
      }
    }
    if !hasType { add(.malformedHeader, "no dtype", subject: name) }
    if !hasShape { add(.malformedHeader, "no shape", subject: name) }
    if !hasOffsets { add(.malformedHeader, "no data_offsets", subject: name) }
    entries.append(entry)
  }

  private mutating func parseElementType(of name: String) throws(CheckpointError) -> ElementType? {
    guard try expect(.string, subject: name, "the dtype is not a string") else { return nil }
    let text = try reader.readString()
    if text == lastType.0 { return lastType.1 }
    guard let type = ElementType(rawValue: text) else {
      add(
        .unknownElementType, "unknown dtype", subject: name,
        expected: "one of \(ElementType.allCases.map(\.rawValue).joined(separator: " "))", found: quoted(text))
      return nil
    }
    lastType = (text, type)
    return type
  }

  private mutating func parseShape(of name: String) throws(CheckpointError) -> Shape? {
    guard try expect(.array, subject: name, "the shape is not an array") else { return nil }
    var dimensions: [Int] = []
    var isValid = true
    var rank = 0
    try reader.beginArray()
    while try reader.nextElement() {
      let extent = try parseCount(of: name, "a dimension", overflow: .shapeOverflow)
      rank += 1
      if let extent, rank <= SafetensorsHeader.rankLimit { dimensions.append(extent) } else { isValid = false }
    }
    if rank > SafetensorsHeader.rankLimit {
      add(
        .malformedHeader, "too many dimensions", subject: name, expected: "at most \(SafetensorsHeader.rankLimit)",
        found: "\(rank)")
    }
    return isValid ? Shape(dimensions) : nil
  }

  private mutating func parseOffsets(of entry: inout Entry) throws(CheckpointError) {
    entry.hasOffsets = false
    guard try expect(.array, subject: entry.name, "data_offsets is not an array") else { return }
    var isValid = true
    var count = 0
    try reader.beginArray()
    while try reader.nextElement() {
      let offset = try parseCount(of: entry.name, "an offset", overflow: .invalidOffset)
      count += 1
      switch (count, offset) {
      case (1, let offset?): entry.begin = offset
      case (2, let offset?): entry.end = offset
      default: isValid = false
      }
    }
    if count != 2 {
      add(
        .invalidOffset, "data_offsets is not a begin and an end", subject: entry.name, expected: "2 numbers",
        found: "\(count)")
    } else if isValid && entry.begin > entry.end {
      add(.invalidOffset, "the data end before they begin", subject: entry.name, found: "[\(entry.begin), \(entry.end)]")
    } else {
      entry.hasOffsets = isValid
    }
  }

  /// A whole number from 0 to the greatest `Int`, or nil and a fault.
  private mutating func parseCount(
    of name: String, _ what: String, overflow: Fault.Code
  ) throws(CheckpointError) -> Int? {
    guard try expect(.number, subject: name, "\(what) is not a number") else { return nil }
    let start = reader.position
    let number = try reader.readNumber()
    if case .integer(let value) = number, value >= 0 { return value }
    let text = String(decoding: reader.bytes[start..<reader.position].prefix(40), as: UTF8.self)
    let isHuge = text.utf8.allSatisfy { (0x30...0x39).contains($0) }
    add(
      isHuge || overflow != .shapeOverflow ? overflow : .malformedHeader, "\(what) is not a whole number in range",
      subject: name, expected: "0 to \(Int.max)", found: text)
    return nil
  }

  /// Whether a value of `kind` is next; else notes a fault and passes what is there.
  private mutating func expect(
    _ kind: JSONReader.Kind, subject: String, _ message: @autoclosure () -> String
  ) throws(CheckpointError) -> Bool {
    let found = try reader.peekKind()
    if found == kind { return true }
    add(.malformedHeader, message(), subject: subject, expected: kind.rawValue, found: found.rawValue)
    try reader.skipValue()
    return false
  }

  /// What is wrong with a name, as a fault to be given its file.
  static func faultInName(_ name: String) -> ((String) -> Fault)? {
    let length = name.utf8.count
    if length == 0 { return { Fault(.invalidName, "a tensor without a name", file: $0) } }
    if length > SafetensorsHeader.nameLengthLimit {
      return { file in
        Fault(
          .invalidName, "the name of a tensor is too long", file: file, subject: quoted(name),
          expected: "at most \(SafetensorsHeader.nameLengthLimit) bytes", found: "\(length)")
      }
    }
    if name.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) {
      return { Fault(.invalidName, "a control character in the name of a tensor", file: $0, subject: quoted(name)) }
    }
    return nil
  }
}

// MARK: - The whole

extension SafetensorsHeaderParser {
  /// Data must fill the file from the header to the end, each byte once.
  private mutating func checkLayout() {
    entries.sort { ($0.begin, $0.end) < ($1.begin, $1.end) }
    // With an unknown range among them, a hole or a missing end may be that tensor's place: only overlaps are certain.
    let isComplete = entries.allSatisfy(\.hasOffsets)
    var previous: Entry? = nil
    for entry in entries where entry.hasOffsets {
      let start = previous?.end ?? 0
      if entry.begin < start {
        add(
          .invalidOffset, "the data overlap those of \(quoted(previous?.name ?? ""))", subject: entry.name,
          expected: "begin at \(start)", found: "[\(entry.begin), \(entry.end)]")
      } else if entry.begin > start && isComplete {
        add(
          .invalidOffset, "a hole of \(entry.begin - start) bytes before the data", subject: entry.name,
          expected: "begin at \(start)", found: "[\(entry.begin), \(entry.end)]")
      }
      if entry.end >= start { previous = entry }
    }
    let end = previous?.end ?? 0
    if end > dataSize {
      let cut = entries.count { $0.hasOffsets && $0.end > dataSize }
      add(
        .invalidOffset, "the file ends before its data (\(cut) of \(entries.count) tensors are cut off)",
        expected: "\(end) bytes of data", found: "\(dataSize)", remedy: "download the file again")
    } else if end < dataSize && isComplete {
      add(
        .invalidOffset, "\(dataSize - end) bytes after the last tensor belong to none", expected: "\(end) bytes of data",
        found: "\(dataSize)")
    }
  }

  /// Checks each tensor by itself and all names against each other; sorts by name.
  private mutating func makeRecords() -> [TensorRecord] {
    var records: [TensorRecord] = []
    records.reserveCapacity(entries.count)
    for entry in entries {
      guard let type = entry.elementType, let shape = entry.shape else { continue }
      guard let byteCount = byteCount(of: entry.name, type, shape), entry.hasOffsets else { continue }
      guard byteCount == entry.end - entry.begin else {
        add(
          .sizeMismatch, "the size is not that of the shape and the dtype", subject: entry.name,
          expected: "\(byteCount) bytes (\(type) \(shape))", found: "\(entry.end - entry.begin)")
        continue
      }
      records.append(
        TensorRecord(
          name: entry.name, elementType: type, shape: shape, file: 0,
          // Cannot overflow where it is used: beyond the end of the file there is a fault already.
          offset: dataOffset &+ entry.begin, byteCount: byteCount))
    }
    if records.count == entries.count {
      records.sort { $0.name < $1.name }
      addDuplicates(in: records.lazy.map(\.name))
    } else {
      addDuplicates(in: entries.map(\.name).sorted())
    }
    return records
  }

  private mutating func byteCount(of name: String, _ type: ElementType, _ shape: Shape) -> Int? {
    guard let count = shape.elementCount, !count.multipliedReportingOverflow(by: type.bitWidth).overflow else {
      add(.shapeOverflow, "the size overflows", subject: name, found: "\(type) \(shape)")
      return nil
    }
    guard let byteCount = type.byteCount(of: count) else {
      add(
        .sizeMismatch, "the elements fill no whole number of bytes", subject: name,
        found: "\(type) \(shape): \(count * type.bitWidth) bits")
      return nil
    }
    return byteCount
  }

  // Swift compares text by its meaning: two names that differ only in their Unicode normal form are one name here. No
  // program could tell them apart on a screen.
  private mutating func addDuplicates(in names: some Sequence<String>) {
    var previous: String? = nil
    for name in names {
      if name == previous { add(.duplicateKey, "the tensor stands twice in the header", subject: name) }
      previous = name
    }
  }

  private mutating func addDuplicate(_ key: String, in name: String) {
    add(.duplicateKey, "key \"\(key)\" stands twice", subject: name)
  }

  private mutating func add(
    _ code: Fault.Code, _ message: String, subject: String? = nil, expected: String? = nil, found: String? = nil,
    remedy: String? = nil
  ) {
    faults.append(
      Fault(code, message, file: file, subject: subject, expected: expected, found: found, remedy: remedy))
  }
}
