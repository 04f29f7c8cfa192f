// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import Tensors

/// 8-bit floats with scales of a tensor, a channel, a group or a block: W = q · scale.
///
/// | from | scales |
/// |---|---|
/// | `fp8` | `weight_scale` `[]` or `[1]` |
/// | `fp8` with `weight_block_size` | `weight_scale_inv` `[⌈out/b⌉, ⌈in/b⌉]`; it multiplies, whatever its name says |
/// | `fp8` of DeepSeek-V4 | `scale`, F32 or E8M0 |
/// | `fbgemm_fp8` | `weight_scale` `[out, 1]` |
/// | `compressed-tensors`, `float-quantized` | `weight_scale` by its `strategy` |
/// | `modelopt` FP8, `quark` | `weight_scale` |
///
/// fbgemm's Llama-4 has fused weights `[in, out]`, their scales `[1, out]` or `[out, 1]`.
///
/// Blocks at the edges may be smaller. e4m3fnuz and e5m2 weights have their own element types.
public struct FP8: QuantizationScheme {
  public static let formatName = "fp8"
  public static let methods = [
    "fp8", "fbgemm_fp8", "compressed-tensors", "modelopt", "quark", "auto-round", "intel/auto-round",
  ]

  public var granularity: Granularity
  /// The type of the scales that are written: F32, BF16, F16, or F8_E8M0 for powers of two (`ue8m0`).
  public var scaleType: ElementType
  /// What is declared for the input of the product.
  public var activations = ActivationScheme.unquantized
  /// Whether weights are stored `[in, out]`.
  public private(set) var isInputMajor = false

  public init(_ granularity: Granularity, scaleType: ElementType = .f32) {
    self.granularity = granularity
    self.scaleType = scaleType
  }

  static let weightTypes: [ElementType] = [.f8e4m3, .f8e4m3fnuz, .f8e5m2, .f8e5m2fnuz]
  static let scaleTypes: [ElementType] = [.f32, .bf16, .f16, .f8e8m0]
  static let weightSuffixes = [".weight", ""]
  static let scaleSuffixes = [".weight_scale", ".weight_scale_inv", ".scale", "_scale_inv", "_scale", "_weight_scale"]

  public static func recognize(_ found: ProjectionTensors, _ settings: ModuleSettings) throws(MoEError) -> Self? {
    guard let weight = found.first(weightSuffixes)?.header, weightTypes.contains(weight.elementType) else { return nil }
    let group = try CompressedTensorsGroup(settings)
    var scheme = Self(
      try granularity(found, weight, settings, group),
      scaleType: found.first(scaleSuffixes)?.header.elementType ?? .f32)
    scheme.activations = try .declared(for: found, settings)
    return scheme
  }

  /// What is declared, unless the scales are plainly of another kind; else what their shape says.
  private static func granularity(
    _ found: ProjectionTensors, _ weight: ProjectionTensors.Header, _ settings: ModuleSettings,
    _ group: CompressedTensorsGroup?
  ) throws(MoEError) -> Granularity {
    if let group { return group.granularity }
    var declared: Granularity?
    if let (height, width) = try settings.pair("weight_block_size") {
      declared = .block(rows: height, columns: width)
    } else if try settings.string("quant_algo") == "FP8_PB_WO" {
      declared = .block(rows: 128, columns: 128)
    }
    guard let (ending, scale) = found.first(scaleSuffixes) else { return declared ?? .tensor }
    let sizes = found.shape(weight).dimensions
    let rows = sizes.first ?? 0
    let shape = found.shape(scale)
    if shape.rank < 2 { return shape.rank == 0 || shape == [1] && rows != 1 ? .tensor : .channel }
    if let declared { return declared }
    if shape == [1, 1] { return .tensor }
    if sizes.contains(where: { shape == [$0, 1] || shape == [1, $0] }) { return .channel }
    throw MoEError(
      .configuration, "the size of the blocks is not given", file: settings.file, subject: found.stem + ending,
      expected: "weight_block_size", found: "scales of \(shape) for weights of \(found.shape(weight))")
  }

  public var name: String { "fp8, \(granularity)" }

  /// With a scale for each row or for all of them.
  public var inputMajor: Self? {
    guard granularity == .channel || granularity == .tensor else { return nil }
    var scheme = self
    scheme.isInputMajor = true
    return scheme
  }

  public var tensors: [QuantizedTensor] {
    let types = [scaleType] + Self.scaleTypes.filter { $0 != scaleType }
    let suffixes = Self.scaleSuffixes
    let scale =
      switch granularity {
      case .tensor, .flat: QuantizedTensor.scalar(.scale, suffixes, types)
      case .channel:
        QuantizedTensor(.scale, suffixes, types, layouts: [[.rows, .fixed(1)], [.rows], [.fixed(1), .rows]])
      case .group(let size): QuantizedTensor(.scale, suffixes, types, [.rows, .columns(per: size)])
      case .block(let height, let width):
        QuantizedTensor(
          .scale, [".weight_scale_inv"] + suffixes.filter { $0 != ".weight_scale_inv" }, types,
          [.rows(per: height, isRagged: true), .columns(per: width, isRagged: true)])
      }
    return [
      QuantizedTensor(
        .weight, Self.weightSuffixes, Self.weightTypes, isInputMajor ? [.columns, .rows] : [.rows, .columns]), scale,
      .scalar(.inputScale, [".input_scale", "_input_scale"], isRequired: activations.isStatic),
      .scalar(.inputScaleLimit, [".input_scale_ub"], isRequired: false),
    ]
  }

  public var parameters: QuantizationParameters {
    QuantizationParameters(.fp8, granularity, bits: 8, activations: activations)
  }

  public func makeDecoder(_ stored: StoredProjection) throws(MoEError) -> any TileDecoder {
    let (weight, scale) = (stored.tensors[.weight]!, stored.tensors[.scale]!)
    return GroupedDecoder(
      stored,
      CodeReader(weight.bytes, bits: 8, isInputMajor ? .turned(rows: stored.rows) : .rows(rowBytes: stored.columns)),
      table: weight.elementType.miniFloat!.table, scales: scale.floats,
      .rowMajor(granularity, columns: stored.columns))
  }

  public func makeEncoding(_ weights: WeightMatrix) throws(MoEError) -> [TensorRole: [UInt8]] {
    try refuseStaticInput(activations)
    let format = MiniFloat.e4m3fn
    let rule = ScaleRule(limit: format.greatestFinite, floor: floor, type: scaleType)
    let encoder = FloatEncoder(format: format, granularity: granularity)
    let (codes, scales) = try encoder.encode(weights) { greatest throws(MoEError) in
      rule.neighbours(try rule.scale(greatest))
    }
    let stored =
      isInputMajor
      ? CodeReader.Arrangement.turned(rows: weights.rows).pack(
        codes, rows: weights.rows, columns: weights.columns, bits: 8) : codes
    return [.weight: stored, .scale: rule.bytes(scales)]
  }

  /// The least magnitude that fills the range of the codes, as vLLM has it; weights below it lose bits.
  private var floor: Float {
    switch granularity {
    case .tensor: 0
    case .channel: 1 / 512
    case .group, .flat: 1e-10
    case .block: 1e-4
    }
  }
}
