// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Checkpoints
internal import Tensors

extension MatrixSource {
  /// What is wrong with the numbers that weights share, and with the scales of activations, by tensor.
  ///
  /// - Parameters:
  ///   - rows: what was read of the stored matrix.
  ///   - columns: likewise.
  func scaleFaults(
    in stored: StoredProjection, _ decoder: any TileDecoder, rows: [Range<Int>], columns: Range<Int>
  ) -> [Fault] {
    var tally = FaultTally()
    for role in Self.activationScales {
      guard let tensor = stored.tensors[role], tensor.elementType.isDecodable else { continue }
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
