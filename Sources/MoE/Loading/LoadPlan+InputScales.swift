// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Checkpoints
internal import Tensors

/// The read of a number that a static input scale follows from.
public struct InputScaleRead: Sendable, Hashable {
  /// A projection of the product.
  public let projection: Projection
  public let piece: MatrixSource.Piece
}

extension LoadPlan {
  /// The numbers of all experts, of this rank and of others: the greatest is the scale of all, because an accelerator
  /// quantises a row once for whatever experts it goes to, and ranks must agree.
  static func inputScaleReads(_ source: ExpertSource, _ schemes: ActivationSchemes) -> [InputScaleRead] {
    var reads: [InputScaleRead] = []
    for matrix in source.experts.joined() {
      let projection = matrix.parts[0].projection
      guard schemes[projection].isStatic, let piece = matrix[.inputScale] ?? matrix[.inputGlobalScale] else { continue }
      reads.append(InputScaleRead(projection: projection, piece: piece))
    }
    return reads
  }

  /// Reads the scales; nil where the backend applies none.
  ///
  /// - Throws: `invalidValue` for each that is no positive number, besides what reading throws.
  func inputScales(_ read: Transfer.Reader) throws(MoEError) -> InputScales? {
    guard !inputScaleReads.isEmpty else { return nil }
    var scales = InputScales(gateUp: nil, down: nil)
    var faults: [Fault] = []
    for entry in inputScaleReads {
      let piece = entry.piece
      let bytes = try unsafe piece.bytes([piece.offset..<piece.offset + piece.byteCount], read)
      let stored = piece.tensor.elementType.decode(bytes)[0]
      let scale = piece.role == .inputGlobalScale ? 1 / stored : stored
      guard scale > 0, scale.isFinite else {
        faults.append(
          Fault(
            .invalidValue, "the static scale of activations is no positive number", subject: piece.tensor.name,
            expected: "a finite number above 0", found: "\(stored)"))
        continue
      }
      scales[entry.projection] = max(scales[entry.projection] ?? scale, scale)
    }
    guard faults.isEmpty else { throw MoEError(faults) }
    return scales
  }
}
