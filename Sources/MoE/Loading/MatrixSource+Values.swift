// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

package import Checkpoints
package import Tensors

extension MatrixSource {
  /// What is wrong with the numbers that weights share, and with the scales of activations, by tensor.
  ///
  /// - Parameters:
  ///   - rows: what was read of the stored matrix.
  ///   - columns: likewise.
  func scaleFaults(
    in stored: [TensorRole: StoredTensor], _ decoder: any TileDecoder, rows: [Range<Int>], columns: Range<Int>
  ) -> [Fault] {
    var tally = FaultTally()
    for role in Self.activationScales {
      guard let tensor = stored[role], tensor.elementType.isDecodable else { continue }
      for (index, scale) in tensor.floats.enumerated() where !(scale > 0 && scale < .infinity) {
        tally.note(
          role, "a scale of activations is no finite number above 0", expected: "a finite number above 0",
          "\(scale) at \(index)")
      }
    }
    return (decoder.scaleFaults(rows: rows, columns: columns) + tally.faults).map(located)
  }

  private static let activationScales: [TensorRole] = [.inputScale, .inputGlobalScale, .inputScaleLimit]

  /// The fault with the name of its tensor.
  func located(_ found: ValueFault) -> Fault {
    var fault = found.fault
    fault.subject = (self[found.role] ?? self[.weight])?.tensor.name ?? stem
    return fault
  }
}

// MARK: - The whole matrix

/// What the bytes of a stored matrix say.
package struct MatrixValues: Sendable {
  package var faults: [Fault]
  /// Of each part, where all tensors could be understood.
  package var statistics: [Projection: WeightStatistics]
  /// Of all tensors.
  package var digest: UInt64
  /// The numbers that stand for the whole matrix.
  package var scalars: [TensorRole: Float]
}

extension MatrixSource {
  /// Reads all tensors, checks their values and decodes the matrix row by row.
  ///
  /// - Throws: what reading throws.
  package func values(from catalog: TensorCatalog) throws(MoEError) -> MatrixValues {
    var result = MatrixValues(faults: [], statistics: [:], digest: 0, scalars: [:])
    var digest = ContentDigest()
    var stored: [TensorRole: StoredTensor] = [:]
    for piece in pieces {
      let tensor = StoredTensor(piece.tensor.elementType, Shape(piece.shape), try piece.bytes(from: catalog))
      digest.add(tensor.bytes)
      stored[piece.role] = tensor
      if tensor.shape.elementCount == 1, tensor.elementType.isDecodable {
        result.scalars[piece.role] = tensor.floats[0]
      }
    }
    result.digest = digest.value
    if let bias = stored.removeValue(forKey: .bias) {
      var tally = FaultTally()
      for (index, value) in bias.floats.enumerated() where !value.isFinite {
        tally.note(.bias, "a bias is not finite", "\(value) at \(index)")
      }
      result.faults += tally.faults.map(located)
    }
    do throws(MoEError) {
      let decoder = try decoder(of: stored, isTurned: !isInputMajor)
      result.faults += scaleFaults(
        in: stored, decoder, rows: [0..<decoder.rows], columns: 0..<decoder.columns)
      var tally = FaultTally()
      let statistics = decoder.scan(selections, &tally)
      result.faults += tally.faults.map(located)
      for (part, statistics) in zip(parts, statistics) { result.statistics[part.projection] = statistics }
    } catch {
      result.faults += error.faults.map { located(ValueFault(.weight, $0)) }
    }
    return result
  }

  /// The decoder of its tensors.
  ///
  /// - Parameter isTurned: whether plain weights `[in, out]` are given as `[out, in]`; otherwise they stay what they are.
  func decoder(of stored: [TensorRole: StoredTensor], isTurned: Bool = true) throws(MoEError) -> any TileDecoder {
    // Plain weights have no order of their own but that of their tensor.
    guard isInputMajor else {
      return try scheme.decoder(of: StoredProjection(stem, rows: rows, columns: columns, stored))
    }
    let decoder = try scheme.decoder(of: StoredProjection(stem, rows: columns, columns: rows, stored))
    return isTurned ? TurnedDecoder(base: decoder) : decoder
  }

  /// Whether plain weights are stored `[in, out]`.
  var isInputMajor: Bool { scheme is Unquantized && self[.weight]?.axes.first?.extent == .columns }

  /// The weights of each part.
  private var selections: [WeightSelection] {
    parts.map { part in
      let out = storedRows(part.rows, 0..<(part.rows == .whole ? rows : rows / 2))
      let all = StridedRows(first: 0, step: 1, count: columns)
      return isInputMajor ? WeightSelection(rows: all, columns: out) : WeightSelection(rows: out, columns: all)
    }
  }
}

extension MatrixSource.Piece {
  /// The bytes of the expert.
  fileprivate func bytes(from catalog: TensorCatalog) throws(MoEError) -> [UInt8] {
    do throws(CheckpointError) {
      return try catalog.bytes(of: tensor, in: offset..<offset + byteCount)
    } catch {
      throw MoEError(error.faults)
    }
  }
}
