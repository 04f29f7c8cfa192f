// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Tensors

/// MXFP4: e2m1 with an e8m0 scale for 32 columns (OCP MX 1.0), the even column in the low nibble.
/// W = value · 2^(scale − 127).
///
/// | from | codes | scales |
/// |---|---|---|
/// | compressed-tensors `mxfp4-pack-quantized` | `weight_packed` U8 | `weight_scale` U8 |
/// | ModelOpt `…MXFP4…`, Quark, AutoRound | `weight` U8 | `weight_scale` U8 |
/// | DeepSeek-V4 (`expert_dtype` `fp4`) | `weight` I8 | `scale` F8_E8M0 |
public struct MXFP4: QuantizationScheme {
  public static let formatName = "mxfp4"
  public static let methods = [
    "mxfp4", "fp8", "compressed-tensors", "modelopt", "quark", "auto-round", "intel/auto-round",
  ]

  /// What is declared for the input of the product.
  public var activations = ActivationScheme.unquantized

  public init() {}

  static let weightSuffixes = [".weight_packed", ".weight"]
  static let scaleSuffixes = [".weight_scale", ".scale"]

  public static func recognize(_ found: ProjectionTensors, _ settings: ModuleSettings) throws(MoEError) -> Self? {
    guard let weight = found.first(weightSuffixes)?.header, [.u8, .i8].contains(weight.elementType),
      let scale = found.first(scaleSuffixes)?.header, [.u8, .f8e8m0].contains(scale.elementType)
    else { return nil }
    // Of a DeepSeek-V4, `weight_block_size` is that of the other weights.
    if found[".scale"] == nil { try MXSettings.check(settings, groupSize: 32) }
    var scheme = Self()
    scheme.activations = try .declared(for: found, settings)
    return scheme
  }

  public var name: String { "mxfp4" }

  public var tensors: [QuantizedTensor] {
    [
      QuantizedTensor(.weight, Self.weightSuffixes, [.u8, .i8], [.rows, .columns(per: 2)]),
      QuantizedTensor(.scale, Self.scaleSuffixes, [.u8, .f8e8m0], [.rows, .columns(per: 32)]),
      .scalar(.inputScale, [".input_scale"], isRequired: activations.isStatic),
    ]
  }

  public var parameters: QuantizationParameters {
    QuantizationParameters(.fp4E8M0, .group(32), bits: 4, activations: activations)
  }

  public func makeDecoder(_ stored: StoredProjection) throws(MoEError) -> any TileDecoder {
    GroupedDecoder(
      stored, CodeReader(stored.tensors[.weight]!.bytes, bits: 4, .rows(rowBytes: stored.columns / 2)),
      table: MiniFloat.e2m1.table, scales: stored.tensors[.scale]!.scales,
      .rowMajor(.group(32), columns: stored.columns))
  }
}
