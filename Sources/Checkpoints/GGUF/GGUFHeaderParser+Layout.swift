// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Tensors

extension GGUFHeaderParser {
  /// Checks each tensor by itself.
  mutating func makeTensors() {
    tensors.reserveCapacity(entries.count)
    for entry in entries {
      let type = GGMLType(rawValue: entry.type)
      if type == nil {
        add(
          .unknownElementType, "a type of tensor that is not read", subject: entry.name,
          expected: "one of \(GGMLType.allCases.map { "\($0.rawValue) (\($0))" }.joined(separator: ", "))",
          found: Self.otherTypes[entry.type].map { "\(entry.type) (\($0))" } ?? "\(entry.type)")
      }
      let offset = offset(of: entry)
      guard let shape = shape(of: entry), let type, let byteCount = byteCount(of: entry, type, shape), let offset else {
        continue
      }
      // A row of blocks is a row of bytes; its length divides.
      tensors.append(TensorRecord(name: entry.name, type: type, shape: shape, offset: offset, byteCount: byteCount))
    }
  }

  /// What ggml knows besides: withdrawn, for intermediate results only, or later than this version.
  private static let otherTypes: [UInt32: String] = [
    4: "Q4_2, withdrawn", 5: "Q4_3, withdrawn", 9: "Q8_1, for intermediate results",
    15: "Q8_K, for intermediate results", 31: "Q4_0_4_4, withdrawn", 32: "Q4_0_4_8, withdrawn",
    33: "Q4_0_8_8, withdrawn",
    36: "IQ4_NL_4_4, withdrawn", 37: "IQ4_NL_4_8, withdrawn", 38: "IQ4_NL_8_8, withdrawn", 41: "Q1_0",
  ]

  private mutating func shape(of entry: Entry) -> Shape? {
    guard let extents = entry.extents else { return nil }  // A fault already.
    let dimensions = extents.reversed().compactMap { Int(exactly: $0) }
    let shape = Shape(dimensions)
    guard dimensions.count == extents.count, shape.elementCount != nil else {
      add(.shapeOverflow, "the number of elements overflows", subject: entry.name, found: "\(extents.reversed())")
      return nil
    }
    return shape
  }

  private mutating func byteCount(of entry: Entry, _ type: GGMLType, _ shape: Shape) -> Int? {
    let row = shape.dimensions.last!
    guard row % type.blockElements == 0 else {
      add(
        .sizeMismatch, "a row is no whole number of blocks", subject: entry.name,
        expected: "a multiple of \(type.blockElements) (\(type))", found: "\(row) of \(shape)")
      return nil
    }
    guard let byteCount = type.byteCount(of: shape) else {
      add(.shapeOverflow, "the size overflows", subject: entry.name, found: "\(type) \(shape)")
      return nil
    }
    return byteCount
  }

  /// The first byte from the start of the file.
  private mutating func offset(of entry: Entry) -> Int? {
    guard let alignment else { return nil }
    guard entry.offset % UInt64(alignment) == 0 else {
      add(
        .invalidOffset, "the data are not aligned", subject: entry.name, expected: "a multiple of \(alignment)",
        found: "\(entry.offset)")
      return nil
    }
    guard let relative = Int(exactly: entry.offset), case let sum = dataOffset.addingReportingOverflow(relative),
      !sum.overflow
    else {
      add(
        .invalidOffset, "the data begin after the end of the file", subject: entry.name,
        expected: "below \(cursor.fileSize)", found: "\(entry.offset)")
      return nil
    }
    return sum.partialValue
  }

  /// Names that differ only in their Unicode normal form are one name, as in safetensors headers.
  mutating func checkNames() {
    var previous: String? = nil
    for name in entries.map(\.name).sorted() {
      if name == previous { add(.duplicateKey, "the tensor stands twice in the header", subject: name) }
      previous = name
    }
  }

  /// Data must lie in the file, each byte in one tensor at most.
  mutating func checkLayout() {
    tensors.sort { ($0.offset, $0.byteCount, $0.name) < ($1.offset, $1.byteCount, $1.name) }
    // Beyond the end there may be no `Int` for the end of a tensor.
    let end = { (tensor: TensorRecord) in tensor.offset.addingReportingOverflow(tensor.byteCount) }
    let cut = tensors.filter { tensor in
      let (last, overflow) = end(tensor)
      return overflow || last > cursor.fileSize
    }
    if let first = cut.first {
      let last = cut.map { tensor in end(tensor).overflow ? Int.max : end(tensor).partialValue }.max()!
      add(
        .invalidOffset, "the file ends before its data (\(cut.count) of \(entries.count) tensors are cut off)",
        subject: first.name, expected: "\(last) bytes", found: "\(cursor.fileSize)", remedy: "download the file again")
    }
    var previous: (end: Int, name: String) = (dataOffset, "")
    var hole = 0
    for tensor in tensors where tensor.byteCount > 0 && !end(tensor).overflow {
      if tensor.offset < previous.end {
        add(
          .invalidOffset, "the data overlap those of \(quoted(previous.name))", subject: tensor.name,
          expected: "begin at \(previous.end) or later", found: "\(tensor.offset)")
      } else if let alignment {
        hole += (tensor.offset - previous.end) / alignment * alignment
      }
      let tensorEnd = end(tensor).partialValue
      if tensorEnd >= previous.end { previous = (tensorEnd, tensor.name) }
    }
    if hole > 0, tensors.count == entries.count {
      warnings.append("\(cursor.file): \(hole) bytes between the tensors belong to none")
    }
    if let alignment, tensors.count == entries.count, cursor.fileSize - previous.end >= alignment {
      warnings.append("\(cursor.file): \(cursor.fileSize - previous.end) bytes after the last tensor belong to none")
    }
  }
}
