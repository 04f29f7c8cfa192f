// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Checkpoints
public import Tensors

extension SyntheticModel {
  /// A tensor to be made.
  public struct Tensor: Sendable, Hashable {
    public var name: String
    /// The type of its elements; of blocks of ggml, that of what they stand for.
    public var elementType: ElementType
    /// Its type in a GGUF file: blocks, or plain elements.
    public var blockType: GGMLType?
    public var shape: Shape
    /// Values are uniform, of this standard deviation; those of an integer type are uniform below it.
    public var deviation: Float

    public var byteCount: Int {
      blockType.map { $0.byteCount(of: shape)! } ?? elementType.byteCount(of: shape.elementCount!)!
    }
  }
}

/// Tensors that are made together: one, or all of a quantised projection.
struct SyntheticUnit: Sendable {
  /// How their bytes come from random values.
  enum Filling: Sendable {
    /// Each value by itself; `blockType` tells whether as blocks.
    case values
    /// Matrices `[rows, columns]`, one for each of `experts` that lie one after the other in each tensor.
    case matrices(any QuantizationScheme, roles: [TensorRole], experts: Int, rows: Int, columns: Int)
  }

  var tensors: [SyntheticModel.Tensor]
  var filling: Filling
  /// What the values depend on beside the seed: the name that the weights have where they are not quantised.
  var seedName: String

  var byteCount: Int { tensors.reduce(0) { $0 + $1.byteCount } }

  init(_ tensor: SyntheticModel.Tensor) {
    tensors = [tensor]
    filling = .values
    seedName = tensor.name
  }

  init(_ tensors: [SyntheticModel.Tensor], _ filling: Filling, seedName: String) {
    (self.tensors, self.filling, self.seedName) = (tensors, filling, seedName)
  }
}

extension SyntheticUnit {
  /// A part of the unit that is made at once, independently of the others.
  struct Piece: Sendable {
    /// The bytes of each tensor that the piece has, and where they begin in it.
    var parts: [(tensor: Int, offset: Int, bytes: [UInt8])]
  }

  /// Elements of a piece of plain values or blocks: a multiple of every block.
  private static let pieceElements = 1 << 18

  var pieceCount: Int {
    switch filling {
    case .values: (tensors[0].shape.elementCount! + Self.pieceElements - 1) / Self.pieceElements
    case .matrices(_, _, let experts, _, _): experts
    }
  }

  /// Values that a piece has at most.
  var pieceSize: Int {
    switch filling {
    case .values: Self.pieceElements
    case .matrices(_, _, _, let rows, let columns): rows * columns
    }
  }

  /// - Throws: What the scheme says; its sizes have been checked.
  func piece(_ index: Int, seed: UInt64) throws(MoEError) -> Piece {
    switch filling {
    case .values:
      let tensor = tensors[0]
      let first = index * Self.pieceElements
      let count = min(Self.pieceElements, tensor.shape.elementCount! - first)
      let values = values(first..<first + count, tensor, seed: seed)
      let blocks = tensor.blockType.flatMap { $0.elementType == nil ? $0 : nil }
      let bytes = blocks.map { $0.encode(values) } ?? encode(values, tensor)
      let offset = blocks.map { $0.byteCount(ofRow: first)! } ?? first * tensor.elementType.bitWidth / 8
      return Piece(parts: [(0, offset, bytes)])
    case .matrices(let scheme, let roles, _, let rows, let columns):
      let size = rows * columns
      let weights = values(index * size..<(index + 1) * size, tensors[0], seed: seed)
      let stored = try scheme.encode(weights, rows: rows, columns: columns, name: seedName)
      var parts: [(tensor: Int, offset: Int, bytes: [UInt8])] = []
      for (place, role) in roles.enumerated() {
        let bytes = stored.tensors[role]!.bytes
        parts.append((place, index * bytes.count, bytes))
      }
      return Piece(parts: parts)
    }
  }

  /// Some of the unit's values: each depends on the seed, the name and its place alone.
  private func values(_ range: Range<Int>, _ tensor: SyntheticModel.Tensor, seed: UInt64) -> [Float] {
    let start = seedName.utf8.reduce(seed ^ 0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
    var generator = SplitMix64(seed: start, skipping: range.lowerBound)
    // What an integer becomes in the end is a fraction of its bound.
    let amplitude = tensor.elementType == .i64 ? 0x1p-31 : tensor.deviation * Float(3).squareRoot() * 0x1p-31
    return unsafe [Float](unsafeUninitializedCapacity: range.count) { values, initialized in
      for index in 0..<range.count {
        unsafe values[index] = Float(Int32(truncatingIfNeeded: generator.next() >> 32)) * amplitude
      }
      initialized = range.count
    }
  }

  private func encode(_ values: [Float], _ tensor: SyntheticModel.Tensor) -> [UInt8] {
    guard tensor.elementType == .i64 else { return tensor.elementType.encode(values) }
    return values.flatMap { value in
      let index = min(Int64((value + 1) / 2 * tensor.deviation), Int64(tensor.deviation) - 1)
      return (0..<8).map { UInt8(truncatingIfNeeded: index >> (8 * $0)) }
    }
  }
}

extension SplitMix64 {
  /// The generator of a seed after so many numbers.
  fileprivate init(seed: UInt64, skipping count: Int) {
    self.init(seed: seed &+ UInt64(count) &* 0x9E37_79B9_7F4A_7C15)
  }
}
