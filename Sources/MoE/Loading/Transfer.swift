// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Tensors

public import Checkpoints

/// One matrix or vector that moves from a checkpoint into a slot.
public struct Transfer: Sendable, Hashable {
  public var expert: LogicalExpert
  public var projection: Projection
  public var role: TensorRole
  public var tensor: TensorRecord
  /// The part of `tensor`, as the logical `[out, in]`.
  public var slice: StridedSlice

  /// The bytes of `tensor` that have to be read for it.
  public var byteRange: Range<Int> {
    let width = tensor.elementType.bitWidth / 8
    return slice.span.lowerBound * width..<slice.span.upperBound * width
  }
}

/// Where the tensors of a group of experts stand in a checkpoint.
public struct ExpertSource: Sendable {
  public let specification: LayerSpecification
  /// The arrangement, for example `fused, output-major`.
  public let layoutName: String
  /// The transfers of each logical expert.
  public let transfers: [[Transfer]]
  /// The projections of each logical expert that are stored quantised.
  public let quantized: [[QuantizedTransfer]]
  /// The type of the stored weights, or their formats, for people.
  public let format: String

  /// Bytes of the experts in their files.
  public var storedBytes: Int {
    transfers.joined().reduce(0) { $0 + $1.slice.rows * $1.slice.columns * $1.tensor.elementType.bitWidth / 8 }
      + quantized.joined().reduce(0) { $0 + ($1.part == .whole ? $1.byteCount : $1.byteCount / 2) }
  }
}
