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
    var tensors: [ExpertTensor] = []
    for role in specification.roles {
      for projection in specification.projections {
        tensors.append(
          ExpertTensor(
            projection: projection, role: role, rows: specification.size(of: projection).rows,
            columns: role == .bias ? 1 : specification.size(of: projection).columns, values: []))
      }
    }
    for transfer in slot.transfers {
      try unsafe transfer.load(scratch: scratch.bytes, Self.reader(catalog)) { (slice) throws(MoEError) in
        let index = tensors.firstIndex { $0.projection == slice.projection && $0.role == slice.role }!
        switch slice.content {
        case .dense(let view): tensors[index].values += try view.decoded()
        case .codes(let weights): tensors[index].values += weights.decode()
        }
      }
    }
    return tensors
  }
}

extension LoadPlan {
  /// Reads from files.
  static func reader(_ catalog: TensorCatalog) -> Transfer.SharedReader {
    { (piece, run, target) throws(MoEError) in
      do throws(CheckpointError) {
        unsafe try catalog.read(piece.tensor, range: run, into: target)
      } catch {
        throw MoEError(error.faults)
      }
    }
  }
}
