// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import Tensors

extension FuzzTarget {
  /// The header of a GGUF file, and the values of what it holds; files are as long as the input, or a megabyte longer where it
  /// ends in the data.
  public static let gguf = FuzzTarget(name: "gguf") { bytes in
    outcome { () throws(CheckpointError) in
      let fileSize = bytes.count + (bytes.count % 2 == 0 ? 0 : 1 << 20)
      let header = try GGUFHeader(parsing: bytes, fileSize: fileSize, file: "fuzz")
      return violation(of: header, fileSize: fileSize) ?? decodingViolation(of: header, bytes)
    }
  }

  /// Any bytes have values.
  private static func decodingViolation(of header: GGUFHeader, _ bytes: [UInt8]) -> String? {
    for tensor in header.tensors where tensor.byteCount > 0 && tensor.offset + tensor.byteCount <= bytes.count {
      let data = Array(bytes[tensor.offset..<tensor.offset + tensor.byteCount])
      let count = (tensor.ggmlType?.decode(data) ?? tensor.elementType.decode(data)).count
      if count != tensor.logicalShape.elementCount { return "\(tensor.name) has \(count) values" }
    }
    return nil
  }

  /// The rules of the format once more, with wide integers.
  private static func violation(of header: GGUFHeader, fileSize: Int) -> String? {
    guard header.alignment > 0, header.alignment.nonzeroBitCount == 1 else { return "alignment" }
    guard header.dataOffset % header.alignment == 0 else { return "start of the data" }
    guard Set(header.tensors.map(\.name)).count == header.tensors.count else { return "a name twice" }
    for tensor in header.tensors {
      guard (1...4).contains(tensor.shape.rank), tensor.shape.dimensions.allSatisfy({ $0 >= 0 }) else { return "shape" }
      // Blocks are counted in bytes.
      guard tensor.ggmlType == nil || tensor.elementType == .u8 else { return "type of \(tensor.name)" }
      guard tensor.shape.dimensions.last! % (tensor.ggmlType?.blockBytes ?? 1) == 0 else {
        return "blocks of \(tensor.name)"
      }
      var bytes = UInt128(tensor.elementType.bitWidth / 8)
      for extent in tensor.shape.dimensions { bytes *= UInt128(extent) }
      guard bytes == UInt128(tensor.byteCount) else { return "size of \(tensor.name)" }
      guard tensor.offset >= header.dataOffset, (tensor.offset - header.dataOffset) % header.alignment == 0 else {
        return "offset of \(tensor.name)"
      }
      guard UInt128(tensor.offset) + bytes <= UInt128(fileSize) else { return "end of \(tensor.name)" }
    }
    let places = header.tensors.filter { $0.byteCount > 0 }.sorted { $0.offset < $1.offset }
    for (tensor, next) in zip(places, places.dropFirst()) where tensor.offset + tensor.byteCount > next.offset {
      return "overlap of \(tensor.name) and \(next.name)"
    }
    return nil
  }
}
