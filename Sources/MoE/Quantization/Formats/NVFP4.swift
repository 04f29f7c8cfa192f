// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import Tensors

/// NVFP4: e2m1 with an e4m3 scale for 16 columns and one float for all, the even column in the low nibble.
///
/// ModelOpt stores the float as a factor (`weight_scale_2`, small), compressed-tensors as its inverse
/// (`weight_global_scale`, large). W = value · (scale · factor), and value · (scale / inverse).
public struct NVFP4: QuantizationScheme {
  public static let formatName = "nvfp4"
  public static let methods = ["compressed-tensors", "modelopt", "quark", "auto-round", "intel/auto-round"]

  /// Whether the global scale divides, and the names are those of compressed-tensors.
  public var isInverse: Bool
  /// What is declared for the input of the product.
  public var activations = ActivationScheme.unquantized

  public init(isInverse: Bool) { self.isInverse = isInverse }

  public static func recognize(_ found: ProjectionTensors, _ settings: ModuleSettings) throws(MoEError) -> Self? {
    let isInverse = found[".weight_packed"]?.elementType == .u8 && found[".weight_global_scale"] != nil
    let hasFactor = found.first([".weight_scale_2", "_weight_scale_2"]) != nil
    guard isInverse || found.first([".weight", ""])?.header.elementType == .u8 && hasFactor else { return nil }
    try MXSettings.check(settings, groupSize: 16)
    var scheme = Self(isInverse: isInverse)
    scheme.activations = try .declared(for: found, settings)
    return scheme
  }

  public var name: String { "nvfp4" }

  public var tensors: [QuantizedTensor] {
    [
      QuantizedTensor(.weight, isInverse ? [".weight_packed"] : [".weight", ""], [.u8], [.rows, .columns(per: 2)]),
      QuantizedTensor(.scale, [".weight_scale", "_weight_scale"], [.f8e4m3], [.rows, .columns(per: 16)]),
      .scalar(
        .globalScale, isInverse ? [".weight_global_scale"] : [".weight_scale_2", "_weight_scale_2"], [.f32, .bf16]),
      .scalar(
        isInverse ? .inputGlobalScale : .inputScale,
        isInverse ? [".input_global_scale"] : [".input_scale", ".input_scale_2", "_input_scale"], [.f32, .bf16],
        isRequired: activations.isStatic),
    ]
  }

  public var parameters: QuantizationParameters {
    QuantizationParameters(.fp4E4M3, .group(16), bits: 4, activations: activations)
  }

  public func makeDecoder(_ stored: StoredProjection) throws(MoEError) -> any TileDecoder {
    let global = stored.tensors[.globalScale]!.floats[0]
    let scales = stored.tensors[.scale]!.floats
    var decoder = GroupedDecoder(
      stored, CodeReader(stored.tensors[.weight]!.bytes, bits: 4, .rows(rowBytes: stored.columns / 2)),
      table: MiniFloat.e2m1.table, scales: scales.map { isInverse ? $0 / global : $0 * global },
      .rowMajor(.group(16), columns: stored.columns))
    decoder.levels = (scales, isInverse ? 1 / global : global)
    return decoder
  }

  public func codedForm(columns: Int, stored: [TensorRole: ElementType]) -> CodedForm? {
    CodedForm(
      bits: 4, group: 16, scale: .e4m3, factor: CodedForm.Factor(group: nil, .f32), isIntegral: true, code: .e2m1)
  }

  public func makeEncoding(_ weights: WeightMatrix) throws(MoEError) -> [TensorRole: [UInt8]] {
    let encoder = NVFP4Encoder(weights, isInverse: isInverse)
    let (codes, scales) = encoder.encode()
    let packing = CodeReader.Arrangement.rows(rowBytes: weights.columns / 2)
    return [
      .weight: packing.pack(codes, rows: weights.rows, columns: weights.columns, bits: 4), .scale: scales,
      .globalScale: ElementType.f32.encode([encoder.global]),
    ]
  }
}
