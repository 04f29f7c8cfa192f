// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Checkpoints
public import Tensors

/// Weights as they are: bf16, fp16, fp32 or fp64. Found in quantised checkpoints, too, whatever the ignore list says.
public struct Unquantized: QuantizationScheme {
  public static let formatName = "unquantised"
  public static let methods: [String] = []

  public var elementType: ElementType

  public init(_ elementType: ElementType) { self.elementType = elementType }

  static let types: [ElementType] = [.bf16, .f16, .f32, .f64]

  public static func recognize(_ found: ProjectionTensors, _ settings: ModuleSettings) throws(MoEError) -> Self? {
    guard let weight = found.first([".weight", ""])?.header, types.contains(weight.elementType) else { return nil }
    return Self(weight.elementType)
  }

  public var name: String { elementType.rawValue }

  public var tensors: [QuantizedTensor] {
    [QuantizedTensor(.weight, [".weight", ""], [elementType], [.rows, .columns])]
  }

  public var parameters: QuantizationParameters {
    QuantizationParameters(.dense16, .tensor, bits: elementType.bitWidth)
  }

  public func makeDecoder(_ stored: StoredProjection) throws(MoEError) -> any TileDecoder {
    DenseDecoder(rows: stored.rows, columns: stored.columns, weight: stored.tensors[.weight]!)
  }

  public func makeEncoding(_ weights: WeightMatrix) throws(MoEError) -> [TensorRole: [UInt8]] {
    let greatest = weights.greatestMagnitude(weights.groups(.tensor)[0])
    guard elementType.decode(elementType.encode([greatest]))[0].isFinite else {
      throw MoEError(
        .invalidValue, "a weight is beyond what \(elementType) holds", expected: "a lesser magnitude",
        found: "\(greatest)")
    }
    return [.weight: elementType.encode(weights.values)]
  }
}

/// Plain numbers, row after row.
struct DenseDecoder: TileDecoder {
  let rows: Int
  let columns: Int
  let weight: StoredTensor

  func decode(rows: Range<Int>, columns: Range<Int>, into tile: inout MutableSpan<Float>) {
    let (type, width) = (weight.elementType, weight.elementType.bitWidth / 8)
    unsafe tile.withUnsafeMutableBufferPointer { target in
      unsafe weight.bytes.withUnsafeBytes { source in
        for (index, row) in rows.enumerated() where !columns.isEmpty {
          let first = (row * self.columns + columns.lowerBound) * width
          unsafe type.decode(
            source.baseAddress! + first, count: columns.count, into: target.baseAddress! + index * columns.count)
        }
      }
    }
  }
}
