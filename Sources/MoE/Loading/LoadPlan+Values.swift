// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import Checkpoints
internal import Tensors

/// A tensor of an expert as a rank holds it, decoded: `[rows, columns]` (`[out, in]`), or a bias `[rows]`.
public struct ExpertTensor: Sendable, Hashable {
  public var projection: Projection
  public var role: TensorRole
  public var rows: Int
  /// 1 for a bias.
  public var columns: Int
  public var values: [Float]
}

extension LoadPlan {
  /// What a slot will hold, in 32-bit floats and without any padding: the weights of each projection, then the biases.
  ///
  /// - Throws: what reading and decoding find.
  public func values(of slot: Slot, from catalog: TensorCatalog) throws(MoEError) -> [ExpertTensor] {
    let scratch = HostBuffer(byteCount: slot.scratchBytes)
    // The views point into it.
    defer { withExtendedLifetime(scratch) {} }
    var used = 0
    let parameters = try unsafe slot.parameters(in: scratch.bytes, used: &used, Self.reader(catalog))
    var tensors: [ExpertTensor] = []
    for role in specification.roles {
      for projection in specification.projections {
        guard let view = parameters[projection, role] else { continue }
        tensors.append(
          ExpertTensor(
            projection: projection, role: role, rows: view.rows, columns: view.columns, values: try view.decoded()))
      }
    }
    return tensors
  }
}

extension LoadPlan {
  /// Reads from files.
  static func reader(_ catalog: TensorCatalog) -> Transfer.Reader {
    { (piece, run, target) throws(MoEError) in
      do throws(CheckpointError) {
        unsafe try catalog.read(piece.tensor, range: run, into: target)
      } catch {
        throw MoEError(error.faults)
      }
    }
  }
}

extension LoadPlan.Slot {
  /// Reads and decodes the tensors of the expert, as views into `scratch`.
  func parameters(
    in scratch: UnsafeMutableRawBufferPointer, used: inout Int, _ read: Transfer.Reader
  ) throws(MoEError) -> ExpertParameters {
    var parameters = ExpertParameters()
    for transfer in transfers { try unsafe transfer.load(into: &parameters, scratch: scratch, used: &used, read) }
    return parameters
  }
}
