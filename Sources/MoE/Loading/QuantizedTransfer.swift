// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import Checkpoints
internal import Tensors

/// One projection of an expert that is stored in a quantised format: its tensors, and the scheme that decodes them.
public struct QuantizedTransfer: Sendable {
  public var expert: LogicalExpert
  public var projection: Projection
  public var scheme: any QuantizationScheme
  /// What the tensors' names begin with.
  public var stem: String
  /// The stored matrix `[out, in]`; of a fused tensor, gate and up together.
  public var rows: Int
  public var columns: Int
  /// The rows of the stored matrix that are the projection's.
  public var part: ProjectionLayout.Part
  public var pieces: [Piece]

  /// The part of a tensor that belongs to the expert.
  public struct Piece: Sendable, Hashable {
    public var role: QuantizedTensorRole
    public var tensor: TensorRecord
    /// Without the axis of experts.
    public var shape: [Int]
    public var byteRange: Range<Int>
  }

  /// Bytes read for it.
  public var byteCount: Int { pieces.reduce(0) { $0 + $1.byteRange.count } }

  /// The stored rows that are decoded: the projection's own, or all where its rows alternate with another's.
  var decodedRows: Range<Int> {
    switch part {
    case .whole, .alternate: 0..<rows
    case .half(let index): index * rows / 2..<(index + 1) * rows / 2
    }
  }

  /// Bytes of the decoded rows.
  var decodedByteCount: Int { decodedRows.count * columns * MemoryLayout<Float>.stride }

  /// Reads and decodes into `floats`, which holds ``decodedRows`` of `columns`, and gives the projection in them.
  func load(from catalog: TensorCatalog, into floats: UnsafeMutableBufferPointer<Float>) throws(MoEError)
    -> ParameterView
  {
    var tensors: [QuantizedTensorRole: StoredTensor] = [:]
    for piece in pieces {
      var bytes = [UInt8](repeating: 0, count: piece.byteRange.count)
      let failure = unsafe bytes.withUnsafeMutableBytes { target -> CheckpointError? in
        do throws(CheckpointError) {
          unsafe try catalog.read(piece.tensor, range: piece.byteRange, into: target)
          return nil
        } catch {
          return error
        }
      }
      if let failure { throw MoEError(failure.faults) }
      tensors[piece.role] = StoredTensor(piece.tensor.elementType, Shape(piece.shape), bytes)
    }
    let decoder = try scheme.decoder(of: StoredProjection(stem, rows: rows, columns: columns, tensors))
    var span = unsafe floats.mutableSpan
    decoder.decode(rows: decodedRows, columns: 0..<columns, into: &span)
    let (first, step) = if case .alternate(let index) = part { (index, 2) } else { (0, 1) }
    return unsafe ParameterView(
      base: UnsafeRawPointer(floats.baseAddress! + first * columns), elementType: .f32,
      rows: decodedRows.count / step, columns: columns, rowStride: step * columns, columnStride: 1)
  }
}
