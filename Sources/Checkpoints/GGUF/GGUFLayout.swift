// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import Tensors

/// A tensor of a GGUF file to be written.
public struct GGUFDeclaration: Sendable, Hashable {
  public var name: String
  public var type: GGMLType
  /// Outermost first, as everywhere in this package: `[experts, out, in]`. (The file has the innermost first.)
  public var shape: Shape

  public init(_ name: String, _ type: GGMLType, _ shape: Shape) {
    (self.name, self.type, self.shape) = (name, type, shape)
  }
}

/// Where each tensor of a file to be written goes, and the header that says so: tensors by name, keys sorted after
/// `general.architecture`.
struct GGUFLayout {
  /// In the order of the data; offsets from the start of the file.
  let tensors: [TensorRecord]
  let header: [UInt8]
  let fileSize: Int

  static let version: UInt32 = 3
  static let alignmentKey = "general.alignment"

  init(
    metadata: [String: GGUFValue], _ declarations: [GGUFDeclaration], alignment: Int, file: String
  ) throws(CheckpointError) {
    var metadata = metadata
    // The specification's value needs no key.
    if alignment != 32 { metadata[Self.alignmentKey] = UInt32(exactly: alignment).map { .uint32($0) } }
    let faults = Self.faults(metadata, declarations, alignment: alignment, file: file)
    if !faults.isEmpty { throw CheckpointError(faults) }

    let ordered = declarations.sorted { $0.name < $1.name }
    var header = Array("GGUF".utf8) + Self.version.bytes + UInt64(ordered.count).bytes + UInt64(metadata.count).bytes
    let first = "general.architecture"
    for key in metadata.keys.sorted(by: { ($0 == first ? 0 : 1, $0) < ($1 == first ? 0 : 1, $1) }) {
      header += key.ggufBytes + metadata[key]!.bytes
    }
    var offset = 0
    var places: [(offset: Int, size: Int)] = []
    for tensor in ordered {
      let size = tensor.type.byteCount(of: tensor.shape)!
      header += tensor.name.ggufBytes + UInt32(tensor.shape.rank).bytes
      header += tensor.shape.dimensions.reversed().flatMap { UInt64($0).bytes }
      header += tensor.type.rawValue.bytes + UInt64(offset).bytes
      places.append((offset, size))
      offset += size + Self.padding(offset + size, alignment)
    }
    header += [UInt8](repeating: 0, count: Self.padding(header.count, alignment))
    let start = header.count
    tensors = zip(ordered, places).map { tensor, place in
      TensorRecord(
        name: tensor.name, type: tensor.type, shape: tensor.shape, offset: start + place.offset, byteCount: place.size)
    }
    self.header = header
    fileSize = start + offset
  }

  private static func padding(_ count: Int, _ alignment: Int) -> Int { (alignment - count % alignment) % alignment }

  private static func faults(
    _ metadata: [String: GGUFValue], _ declarations: [GGUFDeclaration], alignment: Int, file: String
  ) -> [Fault] {
    var faults: [Fault] = []
    func add(_ code: Fault.Code, _ message: String, _ subject: String, expected: String? = nil, found: String? = nil) {
      faults.append(Fault(code, message, file: file, subject: subject, expected: expected, found: found))
    }
    if !(1...1 << 30).contains(alignment) || alignment & (alignment - 1) != 0 {
      add(
        .invalidOffset, "an alignment that is not possible", alignmentKey, expected: "a power of two",
        found: "\(alignment)")
    } else if metadata[alignmentKey] ?? .uint32(32) != .uint32(UInt32(alignment)) {
      add(
        .invalidOffset, "the metadata give another alignment than the file has", alignmentKey, expected: "\(alignment)")
    }
    for key in metadata.keys.sorted() {
      let bytes = Array(key.utf8)
      if bytes.isEmpty || bytes.count > GGUFHeader.keyLengthLimit || bytes.contains(where: { $0 < 0x20 || $0 == 0x7F })
      {
        add(.invalidName, "a metadata key that is not possible", key)
      }
    }
    var names: Set<String> = []
    var total = 0
    for tensor in declarations {
      if let fault = SafetensorsHeaderParser.faultInName(tensor.name) { faults.append(fault(file)) }
      if !names.insert(tensor.name).inserted { add(.duplicateTensor, "the tensor is declared twice", tensor.name) }
      if !(1...GGUFHeader.rankLimit).contains(tensor.shape.rank) {
        add(
          .shapeOverflow, "a number of dimensions that is not possible", tensor.name,
          expected: "1 to \(GGUFHeader.rankLimit)", found: "\(tensor.shape.rank)")
        continue
      }
      let row = tensor.shape.dimensions.last!
      guard row % tensor.type.blockElements == 0 else {
        add(
          .sizeMismatch, "a row is no whole number of blocks", tensor.name,
          expected: "a multiple of \(tensor.type.blockElements) (\(tensor.type))", found: "\(row) of \(tensor.shape)")
        continue
      }
      guard let size = tensor.type.byteCount(of: tensor.shape), size <= Int(Int32.max) << 31 - total else {
        add(.shapeOverflow, "the size overflows", tensor.name, found: "\(tensor.type) \(tensor.shape)")
        continue
      }
      total += size + alignment
    }
    return faults
  }
}
