// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import Tensors

/// How a backend keeps the experts of a layer in memory: known before anything is allocated.
public struct Layout: Sendable, Hashable {
  /// Names the arrangement of bytes. Two slots may exchange bytes only when their identities are equal.
  public var identity: String
  public var specification: LayerSpecification
  /// The type that weights are resident in which are not kept as codes.
  public var residentType: ElementType
  /// The projections whose weights are kept as codes. Others reach ``Backend/store(_:slot:in:)`` decoded.
  public var codes: [Projection: CodedForm]
  /// What is done to the inputs of the products.
  public var activations: ActivationSchemes
  /// H and I are padded to multiples of these, with zeros.
  public var hiddenAlignment: Int
  public var intermediateAlignment: Int
  /// Slices of rows begin at multiples of this.
  public var rowAlignment: Int
  /// Bytes of one expert's contiguous region.
  public var bytesPerExpert: Int
  /// Bytes of scratch memory for each routed row, a (token, slot) pair.
  public var workspacePerRow: Int

  public init(
    identity: String, specification: LayerSpecification, residentType: ElementType,
    codes: [Projection: CodedForm] = [:], hiddenAlignment: Int = 1, intermediateAlignment: Int = 1,
    rowAlignment: Int = 1, bytesPerExpert: Int, workspacePerRow: Int, activations: ActivationSchemes = .unquantized
  ) {
    self.identity = identity
    self.specification = specification
    self.residentType = residentType
    self.codes = codes
    self.activations = activations
    self.hiddenAlignment = hiddenAlignment
    self.intermediateAlignment = intermediateAlignment
    self.rowAlignment = rowAlignment
    self.bytesPerExpert = bytesPerExpert
    self.workspacePerRow = workspacePerRow
  }

  /// Bytes of all experts of the layer.
  public var residentBytes: Int { bytesPerExpert * specification.expertCount }
}
