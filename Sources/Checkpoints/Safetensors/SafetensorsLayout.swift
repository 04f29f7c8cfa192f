// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Tensors

/// Where each tensor of a file to be written goes, and the header that says so.
///
/// The order is that of the reference implementation: wide types first, so that every tensor is aligned to its type,
/// then by name. The header is padded with spaces so that the data begin at a multiple of 64 bytes.
struct SafetensorsLayout {
  /// In the order of the data; offsets from the start of the file.
  let records: [TensorRecord]
  let header: [UInt8]
  let fileSize: Int

  init(_ tensors: [TensorDeclaration], metadata: [String: String], file: String) throws(CheckpointError) {
    var faults = FaultList()
    let ordered = tensors.sorted { ($1.elementType.bitWidth, $0.name) < ($0.elementType.bitWidth, $1.name) }
    var entries: [(tensor: TensorDeclaration, begin: Int, end: Int)] = []
    var end = 0
    for tensor in ordered {
      if let fault = SafetensorsHeaderParser.faultInName(tensor.name) { faults.append(fault(file)) }
      if tensor.name == "__metadata__" {
        faults.append(Fault(.invalidName, "the name is reserved", file: file, subject: tensor.name))
      }
      guard
        tensor.shape.rank <= SafetensorsHeader.rankLimit, let count = tensor.shape.elementCount,
        let byteCount = tensor.elementType.byteCount(of: count), byteCount <= Int(Int32.max) << 31 - end
      else {
        faults.append(
          Fault(
            .shapeOverflow, "the size overflows or is no whole number of bytes", file: file, subject: tensor.name,
            found: "\(tensor.elementType) \(tensor.shape)"))
        continue
      }
      entries.append((tensor, end, end + byteCount))
      end += byteCount
    }
    var names: Set<String> = []
    for tensor in tensors where !names.insert(tensor.name).inserted {
      faults.append(Fault(.duplicateTensor, "the tensor is declared twice", file: file, subject: tensor.name))
    }
    try faults.check()

    var header = [UInt8](repeating: 0, count: 8)
    Self.write(entries, metadata: metadata, to: &header)
    header.append(contentsOf: repeatElement(0x20, count: (64 - header.count % 64) % 64))
    let length = header.count - 8
    guard length <= SafetensorsHeader.lengthLimit else {
      throw CheckpointError(
        Fault(
          .tooLarge, "the header is too large", file: file, expected: "at most \(SafetensorsHeader.lengthLimit) bytes",
          found: "\(length)", remedy: "write several files"))
    }
    for index in 0..<8 { header[index] = UInt8(truncatingIfNeeded: length >> (8 * index)) }
    let dataOffset = header.count
    records = entries.map { entry in
      TensorRecord(
        name: entry.tensor.name, elementType: entry.tensor.elementType, shape: entry.tensor.shape, file: 0,
        offset: dataOffset + entry.begin, byteCount: entry.end - entry.begin)
    }
    self.header = header
    fileSize = dataOffset + end
  }

  /// Appends the JSON; by hand, because a `JSONValue` of all tensors would be large.
  private static func write(
    _ entries: [(tensor: TensorDeclaration, begin: Int, end: Int)], metadata: [String: String], to bytes: inout [UInt8]
  ) {
    var separator = "{"
    if !metadata.isEmpty {
      let texts = JSONValue.object(metadata.mapValues { .string($0) })
      bytes.append(contentsOf: "{\"__metadata__\":\(texts.serialized())".utf8)
      separator = ","
    }
    for (tensor, begin, end) in entries {
      let name = JSONValue.string(tensor.name).serialized()
      let shape = tensor.shape.dimensions.map(String.init).joined(separator: ",")
      let entry = "{\"dtype\":\"\(tensor.elementType)\",\"shape\":[\(shape)],\"data_offsets\":[\(begin),\(end)]}"
      bytes.append(contentsOf: "\(separator)\(name):\(entry)".utf8)
      separator = ","
    }
    bytes.append(contentsOf: (separator == "{" ? "{}" : "}").utf8)
  }
}
