// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Checkpoints
internal import Tensors

/// A tensor that a conversion carries over: as it is, as 32-bit floats, or with its rows in another order.
struct CarriedTensor: Sendable {
  let record: TensorRecord
  let output: OutputTensor
  /// Heads whose rows change places.
  let heads: HeadRows?

  /// The rows of attention heads in the order of GGUF's `llama`: the two halves of a head alternate.
  struct HeadRows: Sendable, Hashable {
    var heads: Int
    var isToGGUF: Bool

    /// The rows of one head, of `width` bytes each, in the other order.
    func reordered(_ bytes: [UInt8], width: Int) -> [UInt8] {
      let half = bytes.count / width / 2
      return (0..<2 * half).flatMap { row in
        // Row 2i + s of the one is row s · half + i of the other.
        let source = isToGGUF ? row % 2 * half + row / 2 : (row % half) * 2 + row / half
        return bytes[source * width..<(source + 1) * width]
      }
    }
  }

  init(_ record: TensorRecord, as output: OutputTensor? = nil, heads: HeadRows? = nil) {
    self.record = record
    self.output = output ?? OutputTensor(record, name: record.name)
    self.heads = heads
  }

  /// Bytes that are held at a time.
  private static let pieceBytes = 8 << 20

  /// Gives the bytes of the new tensor piece by piece, with their places in it.
  func copy(from catalog: TensorCatalog, _ put: (String, [UInt8], Int) throws(MoEError) -> Void) throws(MoEError) {
    let isSame = (record.elementType, record.ggmlType) == (output.elementType, output.blockType)
    let unit = record.ggmlType?.blockBytes ?? max(1, record.elementType.bitWidth / 8)
    let step = heads.map { record.byteCount / $0.heads } ?? Self.pieceBytes / unit * unit
    for start in stride(from: 0, to: record.byteCount, by: max(step, 1)) {
      var bytes: [UInt8]
      do throws(CheckpointError) {
        bytes = try catalog.bytes(of: record, in: start..<min(start + step, record.byteCount))
      } catch {
        throw MoEError(error.faults)
      }
      if let heads { bytes = heads.reordered(bytes, width: record.byteCount / record.shape[0]) }
      let elements = start / unit * (record.ggmlType?.blockElements ?? 1)
      if !isSame { bytes = ElementType.f32.encode(record.ggmlType?.decode(bytes) ?? record.elementType.decode(bytes)) }
      try put(output.name, bytes, isSame ? start : elements * MemoryLayout<Float>.stride)
    }
  }
}
