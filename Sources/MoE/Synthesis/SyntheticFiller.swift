// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Checkpoints
internal import Tensors

/// A file whose tensors are written in pieces.
protocol PieceWriter {
  func write(_ name: String, _ bytes: [UInt8], at offset: Int) throws(CheckpointError)
  func finish() throws(CheckpointError)
}

extension SafetensorsWriter: PieceWriter {}
extension GGUFWriter: PieceWriter {}

/// Makes the pieces of units on all workers, and writes them in order.
struct SyntheticFiller {
  let seed: UInt64
  let pool: WorkerPool

  /// Values that are held at once.
  private var valueLimit: Int { max(1 << 26, pool.threadCount << 22) }

  /// - Parameter note: Called with the bytes of each piece.
  func fill(
    _ units: [SyntheticUnit], _ writer: any PieceWriter, _ note: (Int) -> Void
  ) throws(CheckpointError) {
    var batch: [Job] = []
    var size = 0
    for unit in units {
      for piece in 0..<unit.pieceCount {
        if !batch.isEmpty && (batch.count == 8 * pool.threadCount || size + unit.pieceSize > valueLimit) {
          try write(batch, writer, note)
          (batch, size) = ([], 0)
        }
        batch.append(Job(unit: unit, piece: piece))
        size += unit.pieceSize
      }
    }
    try write(batch, writer, note)
  }

  private struct Job: Sendable {
    var unit: SyntheticUnit
    var piece: Int
  }

  private func write(
    _ batch: [Job], _ writer: any PieceWriter, _ note: (Int) -> Void
  ) throws(CheckpointError) {
    let pieces: [SyntheticUnit.Piece]
    do throws(MoEError) {
      pieces = try pool.tryMap(batch.count) { (index) throws(MoEError) in
        try batch[index].unit.piece(batch[index].piece, seed: seed)
      }
    } catch {
      throw CheckpointError(error.faults)
    }
    for (job, piece) in zip(batch, pieces) {
      for part in piece.parts {
        try writer.write(job.unit.tensors[part.tensor].name, part.bytes, at: part.offset)
        note(part.bytes.count)
      }
    }
  }
}
