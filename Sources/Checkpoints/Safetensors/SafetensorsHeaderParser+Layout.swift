// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Tensors

extension SafetensorsHeaderParser {
  /// Data must fill the file from the header to the end, each byte once.
  mutating func checkLayout() {
    // Ranges are sorted, not entries: what holds no text is cheap to move and to compare.
    var ranges = entries.indices.map { (begin: entries[$0].begin, end: entries[$0].end, index: $0) }
    ranges.sort { ($0.begin, $0.end, $0.index) < ($1.begin, $1.end, $1.index) }
    // With an unknown range among them, a hole or a missing end may be that tensor's place: only overlaps are certain.
    let isComplete = entries.allSatisfy(\.hasOffsets)
    var end = 0
    var previous = 0  // the entry that ends there
    for (begin, rangeEnd, index) in ranges where entries[index].hasOffsets {
      if begin < end {
        add(
          .invalidOffset, "the data overlap those of \(quoted(entries[previous].name))", subject: entries[index].name,
          expected: "begin at \(end)", found: "[\(begin), \(rangeEnd)]")
      } else if begin > end && isComplete {
        add(
          .invalidOffset, "a hole of \(begin - end) bytes before the data", subject: entries[index].name,
          expected: "begin at \(end)", found: "[\(begin), \(rangeEnd)]")
      }
      if rangeEnd >= end { (end, previous) = (rangeEnd, index) }
    }
    if end > dataSize {
      let cut = entries.count { $0.hasOffsets && $0.end > dataSize }
      add(
        .invalidOffset, "the file ends before its data (\(cut) of \(entries.count) tensors are cut off)",
        expected: "\(end) bytes of data", found: "\(dataSize)", remedy: "download the file again")
    } else if end < dataSize && isComplete {
      add(
        .invalidOffset, "\(dataSize - end) bytes after the last tensor belong to none",
        expected: "\(end) bytes of data",
        found: "\(dataSize)")
    }
  }

  /// Checks each tensor by itself and all names against each other; sorts by name.
  mutating func makeRecords() -> [TensorRecord] {
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
}
