// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Tensors

/// Signed bytes with scales: compressed-tensors `int-quantized` and Quark's int8. W = (q − zero point) · scale.
public struct ChannelIntegers: QuantizationScheme {
  public static let formatName = "int-quantized"
  public static let methods = ["compressed-tensors", "quark"]

  /// `.tensor`, `.channel` or `.group`.
  public var granularity: Granularity
  /// Of the 8 bits of a byte, those that are used.
  public var bits: Int
  public var isSymmetric: Bool
  /// What is declared for the input of the product.
  public var activations = ActivationScheme.unquantized

  public init(_ granularity: Granularity, bits: Int = 8, isSymmetric: Bool = true) {
    self.granularity = granularity
    self.bits = bits
    self.isSymmetric = isSymmetric
  }

  public static func recognize(_ found: ProjectionTensors, _ settings: ModuleSettings) throws(MoEError) -> Self? {
    guard let weight = found[".weight"], weight.elementType == .i8, found[".SCB"] == nil, found[".scale"] == nil else {
      return nil
    }
    let hasZeroPoint = found[".weight_zero_point"] != nil
    let shape = found[".weight_scale"].map(found.shape)
    var scheme = Self(shape?.elementCount == 1 ? .tensor : .channel, isSymmetric: !hasZeroPoint)
    if let group = try CompressedTensorsGroup(settings) {
      scheme = Self(group.granularity, bits: group.bits, isSymmetric: group.isSymmetric && !hasZeroPoint)
    }
    scheme.activations = try .declared(for: found, settings)
    return scheme
  }

  public var name: String { "int\(bits), \(granularity)" + (isSymmetric ? "" : ", asymmetric") }

  private var layouts: [[StoredAxis]] {
    switch granularity {
    case .tensor, .flat: [[], [.fixed(1)], [.fixed(1), .fixed(1)]]
    case .channel: [[.rows, .fixed(1)], [.rows]]
    case .group(let size): [[.rows, .columns(per: size)]]
    case .block(let height, let width):
      [[.rows(per: height, isRagged: true), .columns(per: width, isRagged: true)]]
    }
  }

  public var tensors: [QuantizedTensor] {
    [
      QuantizedTensor(.weight, [".weight"], [.i8], [.rows, .columns]),
      QuantizedTensor(.scale, [".weight_scale"], [.bf16, .f16, .f32], layouts: layouts),
      QuantizedTensor(
        .zeroPoint, [".weight_zero_point"], [.i8, .i32], layouts: layouts, isRequired: !isSymmetric),
      .scalar(.inputScale, [".input_scale"], isRequired: activations.isStatic),
      .scalar(.inputZeroPoint, [".input_zero_point"], [.i8, .i32], isRequired: false),
    ]
  }

  public var parameters: QuantizationParameters {
    QuantizationParameters(
      .int8, granularity, bits: bits, zeroPoint: isSymmetric ? .none : .stored, activations: activations)
  }

  public func makeDecoder(_ stored: StoredProjection) throws(MoEError) -> any TileDecoder {
    var decoder = GroupedDecoder(
      stored, CodeReader(stored.tensors[.weight]!.bytes, bits: 8, .rows(rowBytes: stored.columns)),
      table: CodeTable.signedBytes, scales: stored.tensors[.scale]!.floats,
      .rowMajor(granularity, columns: stored.columns))
    decoder.zeroPoints = stored.tensors[.zeroPoint]?.floats
    return decoder
  }

  public func makeEncoding(_ weights: WeightMatrix) throws(MoEError) -> [TensorRole: [UInt8]] {
    try refuseStaticInput(activations)
    let half = 1 << (bits - 1)
    let rule = ScaleRule(limit: Float(half - 1), floor: 0, type: tensor(.scale)!.elementTypes[0])
    let encoded = try IntegerEncoder(
      granularity: granularity, codes: -half...half - 1, zeroPoints: isSymmetric ? nil : -half...half - 1, rule: rule
    ).encode(weights)
    var bytes: [TensorRole: [UInt8]] = [.weight: encoded.codes, .scale: rule.bytes(encoded.scales)]
    if !isSymmetric { bytes[.zeroPoint] = encoded.zeroPoints.map { UInt8(truncatingIfNeeded: $0) } }
    return bytes
  }
}
