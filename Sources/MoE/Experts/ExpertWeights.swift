// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// The weights of the experts in this process as bytes, `[local, bytes]`: a contiguous region for each, for whoever moves
/// or compares experts.
///
/// A region holds all that differs between experts, in every format: weights or codes, scales, zero points, biases.
/// What all experts of a layer share isn't in it and doesn't move: the correction bias, hash tables and other parts of
/// the gate, and the static scales of activations (which is why those are one number for all experts).
///
/// ```swift
/// let weights = try experts.weights
/// for slot in 0..<weights.count {
///   try weights.withBytes(of: LocalExpert(rawValue: slot)) { bytes in … }    // weights.bytesPerExpert of them
/// }
/// ```
public struct ExpertWeights<B: Backend>: Sendable {
  private let backend: B
  private let storage: B.Storage
  /// Names the arrangement: regions may be exchanged only where it is equal.
  public let identity: String
  public let count: Int
  public let bytesPerExpert: Int

  init(_ backend: B, _ storage: B.Storage) throws(MoEError) {
    self.backend = backend
    self.storage = storage
    let layout = try backend.layout(of: backend.specification(of: storage))
    identity = layout.identity
    count = layout.specification.expertCount
    bytesPerExpert = layout.bytesPerExpert
  }

  /// Reads the region of a slot.
  public func withBytes<Value>(
    of slot: LocalExpert, _ body: (UnsafeRawBufferPointer) throws(MoEError) -> Value
  ) throws(MoEError) -> Value {
    try unsafe backend.withBytes(of: slot, in: storage, body)
  }

  /// Overwrites the region of a slot.
  @unsafe
  public func replace(_ slot: LocalExpert, with bytes: UnsafeRawBufferPointer) throws(MoEError) {
    try unsafe backend.replace(slot, in: storage, with: bytes)
  }
}

extension RoutedExperts {
  /// The weights of the experts in this process, as they are now.
  public var weights: ExpertWeights<B> {
    get throws(MoEError) { try ExpertWeights(backend, storage) }
  }
}
