// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Tensors

/// Reads the fields of a header and collects what is wrong with them.
struct GGUFHeaderParser {
  var cursor: GGUFCursor
  var faults = FaultList()

  var version = 0
  var metadata: [String: JSONValue] = [:]
  var valuePlaces: [String: Range<Int>] = [:]
  var entries: [Entry] = []
  var tensors: [TensorRecord] = []
  /// Nil when the file has an impossible one: no offset can be judged then.
  var alignment: Int? = 32
  var dataOffset = 0
  var warnings: [String] = []
  /// Elements of arrays so far.
  var elementCount = 0

  /// A tensor as it stands in the header.
  struct Entry {
    var name: String
    /// Innermost first; nil when their number is wrong.
    var extents: [UInt64]?
    var type: UInt32
    var offset: UInt64
  }

  init(_ cursor: GGUFCursor) { self.cursor = cursor }

  mutating func parse() throws(CheckpointError) {
    try parseStart()
    let tensorCount = try parseCount(size: 8 + 4 + 4 + 8, "the number of tensors")
    let keyCount = try parseCount(size: 8 + 4 + 1, "the number of metadata keys")
    for _ in 0..<keyCount { try parseField() }
    for _ in 0..<tensorCount { try parseEntry() }
    dataOffset = cursor.position
    if let alignment { dataOffset += (alignment - cursor.position % alignment) % alignment }
    makeTensors()
    checkNames()
    checkLayout()
    tensors.sort { $0.name < $1.name }
  }

  private mutating func parseStart() throws(CheckpointError) {
    var ahead = cursor
    let start = try ahead.read(min(16, ahead.fileSize), "the magic number")
    guard start.starts(with: "GGUF".utf8) else {
      throw CheckpointError(
        FileSignature(start: start)?.fault(file: cursor.file)
          ?? Fault(
            .malformedHeader, "not a GGUF file", file: cursor.file, expected: "GGUF as its first bytes",
            found: start.isEmpty
              ? "an empty file" : start.prefix(4).map { "0x" + String($0, radix: 16) }.joined(separator: " ")))
    }
    try cursor.skip(4, "the magic number")
    let version = try cursor.read(UInt32.self, "the version")
    guard version == 2 || version == 3 else {
      let isBigEndian = version.byteSwapped == 2 || version.byteSwapped == 3
      throw CheckpointError(
        Fault(
          .unsupported, isBigEndian ? "a big-endian GGUF file" : "a version of GGUF that is not read",
          file: cursor.file, expected: "version 2 or 3, little-endian",
          found: "version \(isBigEndian ? version.byteSwapped : version)",
          remedy: "convert it again from the checkpoint that it was made from"))
    }
    self.version = Int(version)
  }

  private mutating func parseCount(size: Int, _ what: String) throws(CheckpointError) -> Int {
    let count = try cursor.readCount(size: size, what)
    guard count <= GGUFHeader.countLimit else {
      throw CheckpointError(
        Fault(
          .tooLarge, "\(what) is too large", file: cursor.file, expected: "at most \(GGUFHeader.countLimit)",
          found: "\(count)"))
    }
    return count
  }

  private mutating func parseEntry() throws(CheckpointError) {
    let place = "byte \(cursor.position)"
    let name = try cursor.readString("the name of a tensor")
    if let name {
      if let fault = SafetensorsHeaderParser.faultInName(name) { faults.append(fault(cursor.file)) }
    } else {
      add(.invalidUTF8, "the name of a tensor is not UTF-8", subject: place)
    }
    let subject = name.flatMap { $0.isEmpty ? nil : $0 } ?? place
    let rank = Int(try cursor.read(UInt32.self, "the rank of a tensor"))
    var extents: [UInt64]? = nil
    if (1...GGUFHeader.rankLimit).contains(rank) {
      var read: [UInt64] = []
      for _ in 0..<rank { read.append(try cursor.read(UInt64.self, "the shape of a tensor")) }
      extents = read
    } else {
      add(
        .malformedHeader, "a number of dimensions that is not possible", subject: subject,
        expected: "1 to \(GGUFHeader.rankLimit)", found: "\(rank)")
      try cursor.skip(8 * rank, "the shape of a tensor")
    }
    let type = try cursor.read(UInt32.self, "the type of a tensor")
    let offset = try cursor.read(UInt64.self, "the offset of a tensor")
    entries.append(Entry(name: subject, extents: extents, type: type, offset: offset))
  }

  mutating func add(
    _ code: Fault.Code, _ message: String, subject: String? = nil, expected: String? = nil, found: String? = nil,
    remedy: String? = nil
  ) {
    faults.append(
      Fault(code, message, file: cursor.file, subject: subject, expected: expected, found: found, remedy: remedy))
  }
}
