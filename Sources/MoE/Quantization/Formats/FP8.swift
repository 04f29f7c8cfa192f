// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Tensors

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
/// Blocks at the edges may be smaller. e4m3fnuz and e5m2 weights have their own element types.
public struct FP8: QuantizationScheme {
  public static let formatName = "fp8"
  public static let methods = [
    "fp8", "fbgemm_fp8", "compressed-tensors", "modelopt", "quark", "auto-round", "intel/auto-round",
  ]

  public var granularity: Granularity
  public var hasStaticInput: Bool

  public init(_ granularity: Granularity, hasStaticInput: Bool = false) {
    self.granularity = granularity
    self.hasStaticInput = hasStaticInput
  }

  static let weightTypes: [ElementType] = [.f8e4m3, .f8e4m3fnuz, .f8e5m2, .f8e5m2fnuz]
  static let weightSuffixes = [".weight", ""]
  static let scaleSuffixes = [".weight_scale", ".weight_scale_inv", ".scale", "_scale_inv", "_scale"]

  public static func recognize(_ found: ProjectionTensors, _ settings: ModuleSettings) throws(MoEError) -> Self? {
    guard let weight = found.first(weightSuffixes)?.header, weightTypes.contains(weight.elementType) else { return nil }
    let group = try CompressedTensorsGroup(settings)
    let isDeclaredStatic = try settings.string("activation_scheme") == "static"
    let isModelOptStatic = try ModelOpt.hasStaticInput(settings)
    let isStatic = group?.hasStaticInput ?? (isDeclaredStatic || isModelOptStatic)
    return Self(try granularity(found, weight, settings, group), hasStaticInput: isStatic)
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
    let rows = found.shape(weight).dimensions.first ?? 0
    let shape = found.shape(scale)
    if shape.rank < 2 { return shape.rank == 0 || shape == [1] && rows != 1 ? .tensor : .channel }
    if let declared { return declared }
    if shape == [1, 1] { return .tensor }
    if shape == [rows, 1] { return .channel }
    throw MoEError(
      .configuration, "the size of the blocks is not given", file: settings.file, subject: found.stem + ending,
      expected: "weight_block_size", found: "scales of \(shape) for weights of \(found.shape(weight))")
  }

  public var name: String { "fp8, \(granularity)" }

  public var tensors: [QuantizedTensor] {
    let types: [ElementType] = [.f32, .bf16, .f16, .f8e8m0]
    let scale =
      switch granularity {
      case .tensor, .flat: QuantizedTensor.scalar(.scale, Self.scaleSuffixes, types)
      case .channel: QuantizedTensor(.scale, Self.scaleSuffixes, types, layouts: [[.rows, .fixed(1)], [.rows]])
      case .group(let size): QuantizedTensor(.scale, Self.scaleSuffixes, types, [.rows, .columns(per: size)])
      case .block(let height, let width):
        QuantizedTensor(
          .scale, Self.scaleSuffixes, types, [.rows(per: height, isRagged: true), .columns(per: width, isRagged: true)])
      }
    return [
      QuantizedTensor(.weight, Self.weightSuffixes, Self.weightTypes, [.rows, .columns]), scale,
      .scalar(.inputScale, [".input_scale", "_input_scale"], isRequired: hasStaticInput),
      .scalar(.inputScaleLimit, [".input_scale_ub"], isRequired: false),
    ]
  }

  public var parameters: QuantizationParameters {
    QuantizationParameters(.fp8, granularity, bits: 8, hasStaticInput: hasStaticInput)
  }

  public func makeDecoder(_ stored: StoredProjection) throws(MoEError) -> any TileDecoder {
    let (weight, scale) = (stored.tensors[.weight]!, stored.tensors[.scale]!)
    return GroupedDecoder(
      stored, CodeReader(weight.bytes, bits: 8, .rows(rowBytes: stored.columns)),
      table: weight.elementType.miniFloat!.table, scales: scale.floats,
      .rowMajor(granularity, columns: stored.columns))
  }
}
