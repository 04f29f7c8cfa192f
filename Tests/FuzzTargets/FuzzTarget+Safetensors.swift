// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import Tensors

extension FuzzTarget {
  /// The header of a safetensors file.
  ///
  /// An input is the text of a header, a line feed and the data, which is easier to damage well than a file that begins with the
  /// length of the text; or a file, where there is no line feed.
  public static let safetensors = FuzzTarget(name: "safetensors") { bytes in
    var image = bytes
    var fileSize = bytes.count
    if let end = bytes.lastIndex(of: 0x0A) {
      image = (0..<8).map { UInt8(truncatingIfNeeded: end >> (8 * $0)) } + bytes[..<end]
      fileSize += 7
    }
    return outcome { () throws(CheckpointError) in
      let header = try SafetensorsHeader(parsing: image, fileSize: fileSize, file: "fuzz")
      return violation(of: header, fileSize: fileSize)
    }
  }

  /// The rules of the format once more, by counting: every byte of the data belongs to one tensor.
  private static func violation(of header: SafetensorsHeader, fileSize: Int) -> String? {
    var position = header.dataOffset
    for tensor in header.tensors.sorted(by: { ($0.offset, $0.byteCount) < ($1.offset, $1.byteCount) }) {
      guard tensor.offset == position else { return "hole or overlap at \(tensor.name)" }
      var bits = UInt64(tensor.elementType.bitWidth)
      for extent in tensor.shape.dimensions {
        guard extent >= 0 else { return "negative extent in \(tensor.name)" }
        bits = bits.multipliedReportingOverflow(by: UInt64(extent)).partialValue
      }
      guard bits % 8 == 0, bits / 8 == UInt64(tensor.byteCount) else { return "size of \(tensor.name)" }
      position += tensor.byteCount
    }
    if position != fileSize { return "end of the file" }
    return Set(header.tensors.map(\.name)).count == header.tensors.count ? nil : "a name twice"
  }

  /// The index of a sharded checkpoint.
  public static let index = FuzzTarget(name: "index") { bytes in
    outcome { () throws(CheckpointError) in
      let index = try ShardIndex(parsing: bytes, file: "fuzz")
      let isOutside = { (file: String) in file.hasPrefix("/") || file.split(separator: "/").contains("..") }
      if let file = index.files.first(where: isOutside) { return "a file outside of the folder: \(file)" }
      let areSorted = zip(index.entries, index.entries.dropFirst()).allSatisfy { $0.tensor < $1.tensor }
      let areListed = index.entries.allSatisfy { index.files.indices.contains($0.file) }
      return areSorted && areListed ? nil : "entries out of order, or of no file"
    }
  }

  /// What a reader made of an input; it returns what is wrong with what it accepted.
  static func outcome(_ read: () throws(CheckpointError) -> String?) -> Outcome {
    do throws(CheckpointError) {
      return try read().map { .wrong($0) } ?? .accepted
    } catch {
      return refusal(error.faults)
    }
  }

  /// A fault says in which file, and what.
  static func refusal(_ faults: [Fault]) -> Outcome {
    let isClear = !faults.isEmpty && faults.allSatisfy { $0.file != nil && !$0.message.isEmpty }
    return isClear ? .refused : .wrong("a fault without a place: \(faults)")
  }
}
