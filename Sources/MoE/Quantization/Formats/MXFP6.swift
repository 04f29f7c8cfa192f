// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Tensors

/// MXFP6: 6-bit floats with an e8m0 scale for 32 columns (OCP MX 1.0), four codes in three bytes from the lowest bit
/// up. W = value · 2^(scale − 127).
///
/// compressed-tensors `mxfp6-pack-quantized` is e2m3; Quark has e3m2 as well.
public struct MXFP6: QuantizationScheme {
  public static let formatName = "mxfp6"
  public static let methods = ["compressed-tensors", "quark"]

  /// 1-3-2 bits in place of 1-2-3.
  public var isE3M2: Bool
  /// What is declared for the input of the product.
  public var activations = ActivationScheme.unquantized

  public init(isE3M2: Bool = false) { self.isE3M2 = isE3M2 }

  static let weightSuffixes = [".weight_packed", ".weight"]

  public static func recognize(_ found: ProjectionTensors, _ settings: ModuleSettings) throws(MoEError) -> Self? {
    guard let weight = found.first(weightSuffixes)?.header, weight.elementType == .u8,
      let scale = found[".weight_scale"], let bytes = weight.shape.dimensions.last,
      let groups = scale.shape.dimensions.last, scale.elementType == .u8 || scale.elementType == .f8e8m0
    else { return nil }
    // 24 bytes of codes for a scale; e2m1 has 16.
    let isDeclared = try MXSettings.names(settings, ["mxfp6"])
    guard isDeclared || groups > 0 && bytes == groups.multipliedReportingOverflow(by: 24).partialValue else {
      return nil
    }
    try MXSettings.check(settings, groupSize: 32)
    // Of Quark: the module's own settings, else those of all.
    let own = try settings.below("weight")?.string("dtype")
    let common = try settings.below("global_quant_config")?.below("weight")?.string("dtype")
    let type = own ?? common
    var scheme = Self(isE3M2: type?.hasSuffix("e3m2") ?? false)
    scheme.activations = try .declared(for: found, settings)
    return scheme
  }

  public var name: String { isE3M2 ? "mxfp6 e3m2" : "mxfp6 e2m3" }

  public var tensors: [QuantizedTensor] {
    [
      QuantizedTensor(.weight, Self.weightSuffixes, [.u8], [.rows, .columns(packing: 6, wordBits: 8)]),
      QuantizedTensor(.scale, [".weight_scale"], [.u8, .f8e8m0], [.rows, .columns(per: 32)]),
      .scalar(.inputScale, [".input_scale"], isRequired: activations.isStatic),
    ]
  }

  public var parameters: QuantizationParameters {
    QuantizationParameters(.fp8, .group(32), bits: 6, activations: activations)
  }

  public func makeDecoder(_ stored: StoredProjection) throws(MoEError) -> any TileDecoder {
    GroupedDecoder(
      stored, CodeReader(stored.tensors[.weight]!.bytes, bits: 6, .rows(rowBytes: stored.columns / 4 * 3)),
      table: (isE3M2 ? MiniFloat.e3m2 : .e2m3).table, scales: stored.tensors[.scale]!.scales,
      .rowMajor(.group(32), columns: stored.columns))
  }

  public func makeEncoding(_ weights: WeightMatrix) throws(MoEError) -> [TensorRole: [UInt8]] {
    let format: MiniFloat = isE3M2 ? .e3m2 : .e2m3
    let encoder = FloatEncoder(format: format, granularity: .group(32))
    let (codes, scales) = try encoder.encode(weights) { [format.microscale($0)] }
    let packing = CodeReader.Arrangement.rows(rowBytes: weights.columns / 4 * 3)
    return [
      .weight: packing.pack(codes, rows: weights.rows, columns: weights.columns, bits: 6),
      .scale: scales.map { E8M0.encode($0) },
    ]
  }
}
