// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

package import Checkpoints
internal import Tensors

/// Some rows of a projection, read from a checkpoint.
package struct RowBlock: Sendable {
  /// Of the stored rows around them.
  let decoder: any TileDecoder
  /// The decoder, where the kernels may read what it reads.
  let kernelRows: (any KernelRows)?
  /// The rows of the projection among those of the decoder.
  let places: StridedRows

  init(_ decoder: any TileDecoder, _ places: StridedRows) {
    self.decoder = decoder
    kernelRows = decoder as? any KernelRows
    self.places = places
  }

  package var rows: Int { places.count }
  package var columns: Int { decoder.columns }
}

extension MatrixSource {
  /// The number of rows at whose multiples a projection can be read in blocks; nil where all of it must be read.
  package var blockStep: Int? {
    guard self[.weight]?.axes.first?.extent == .rows else { return nil }
    var step = 1
    for axis in blockPieces.flatMap(\.axes) {
      if axis.extent == .elements { return nil }
      if axis.extent == .rows, axis.step < rows { step = leastCommonMultiple(step, axis.step) }
    }
    let boundaries = parts.map { storedRows($0.rows, 0..<1).first }
    let isCut = parts.contains { if case .half = $0.rows { true } else { false } }
    return isCut && boundaries.contains { $0 % step != 0 } ? nil : step
  }

  /// Tensors that say what the weights are.
  private var blockPieces: [Piece] {
    pieces.filter { $0.byteCount > 0 && $0.role != .bias && $0.role != .logicalShape }
  }

  /// The rows of a projection.
  package func rowCount(_ part: Part) -> Int { part.rows == .whole ? rows : rows / 2 }

  /// Reads rows of a projection, and lends them.
  ///
  /// - Parameter rows: all of them where ``blockStep`` is nil, else from a multiple of it to another, or to the end.
  /// - Throws: what reading throws, and what is wrong with the tensors.
  package func withRows<Result>(
    _ range: Range<Int>, of part: Part, from catalog: TensorCatalog, _ buffers: ByteBuffers,
    _ body: (RowBlock) throws(MoEError) -> Result
  ) throws(MoEError) -> Result {
    let places = storedRows(part.rows, range)
    let isWhole = blockStep == nil
    let first = isWhole ? 0 : places.first - places.first % places.step
    let stored = first..<(isWhole ? rows : min(places.end, rows))
    var held: [[UInt8]] = []
    defer { for bytes in held { buffers.give(bytes) } }
    var tensors: [TensorRole: StoredTensor] = [:]
    for piece in blockPieces {
      let box = zip(piece.axes, piece.shape).map { axis, extent in
        axis.extent == .rows ? axis.entries(of: stored, limit: extent) : 0..<extent
      }
      var bytes = buffers.take(
        box.reduce(piece.tensor.elementType.bitWidth / 8) { $0 * $1.count })
      try piece.read(box, from: catalog, into: &bytes)
      tensors[piece.role] = StoredTensor(piece.tensor.elementType, Shape(box.map(\.count)), bytes)
      held.append(bytes)
    }
    // Plain weights have no order of their own but that of their tensor.
    let (height, width) = isInputMajor ? (columns, stored.count) : (stored.count, columns)
    let decoder = try scheme.decoder(of: StoredProjection(stem, rows: height, columns: width, tensors))
    return try body(
      RowBlock(
        isInputMajor ? TransposedDecoder(decoder) : decoder,
        StridedRows(first: places.first - first, step: places.step, count: places.count)))
  }
}

extension MatrixSource.Piece {
  fileprivate func read(
    _ box: [Range<Int>], from catalog: TensorCatalog, into bytes: inout [UInt8]
  ) throws(MoEError) {
    let runs: [ByteRuns] = .box(
      box.map { [$0] }, of: shape, width: tensor.elementType.bitWidth / 8, offset: offset)
    let failure = unsafe bytes.withUnsafeMutableBytes { target -> CheckpointError? in
      var place = 0
      do throws(CheckpointError) {
        for run in runs.lazy.flatMap(\.ranges) {
          let part = unsafe UnsafeMutableRawBufferPointer(rebasing: target[place..<place + run.count])
          try unsafe catalog.read(tensor, range: run, into: part)
          place += run.count
        }
        return nil
      } catch {
        return error
      }
    }
    if let failure { throw MoEError(failure.faults) }
  }
}

/// Plain weights that are stored `[in, out]`, as `[out, in]`.
private struct TransposedDecoder: TileDecoder {
  let rows: Int
  let columns: Int
  private let stored: any TileDecoder

  init(_ stored: any TileDecoder) {
    self.stored = stored
    (rows, columns) = (stored.columns, stored.rows)
  }

  func decode(rows: Range<Int>, columns: Range<Int>, into tile: inout MutableSpan<Float>) {
    var line = [Float](repeating: 0, count: rows.count)
    for (index, column) in columns.enumerated() {
      var span = line.mutableSpan
      stored.decode(rows: column..<column + 1, columns: rows, into: &span)
      for row in 0..<rows.count { tile[row * columns.count + index] = line[row] }
    }
  }

  func steps(row: Int) -> [Float]? {
    var line = [Float](repeating: 0, count: columns)
    var span = line.mutableSpan
    decode(rows: row..<row + 1, columns: 0..<columns, into: &span)
    return (stored as? DenseDecoder)?.steps(of: line)
  }
}
