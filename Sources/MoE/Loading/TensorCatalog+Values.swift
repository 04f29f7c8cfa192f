// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

package import Checkpoints
internal import Tensors

extension TensorCatalog {
  /// All values of a floating-point tensor.
  ///
  /// - Throws: `invalidValue` when one of them is not finite, besides what reading throws.
  package func values(of tensor: TensorRecord) throws(MoEError) -> [Float] {
    let values = try reading { () throws(CheckpointError) in try floats(of: tensor) }
    let bad = values.count { !$0.isFinite }
    guard bad == 0 else {
      throw MoEError(
        .invalidValue, "values that are not finite", file: path(of: tensor), subject: tensor.name,
        found: "\(bad) of \(values.count)")
    }
    return values
  }

  /// All values of an integer tensor that are expert or token ids.
  func indices(of tensor: TensorRecord) throws(MoEError) -> [Int32] {
    let values = try reading { () throws(CheckpointError) in try integers(of: tensor) }
    guard let bad = values.first(where: { Int32(exactly: $0) == nil }) else { return values.map(Int32.init) }
    throw MoEError(
      .invalidValue, "an index is out of range", file: path(of: tensor), subject: tensor.name, found: "\(bad)")
  }

  private func reading<Result>(_ body: () throws(CheckpointError) -> Result) throws(MoEError) -> Result {
    do throws(CheckpointError) {
      return try body()
    } catch {
      throw MoEError(error.faults)
    }
  }
}
