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

  /// Whose names and types are written. All are read.
  public enum Naming: Sendable, Hashable {
    case compressedTensors
    case modelOpt
    case deepSeekV4
  }

  public var naming: Naming
  /// What is declared for the input of the product.
  public var activations = ActivationScheme.unquantized

  public init(_ naming: Naming = .compressedTensors) { self.naming = naming }

  static let weightSuffixes = [".weight_packed", ".weight"]
  static let scaleSuffixes = [".weight_scale", ".scale"]

  public static func recognize(_ found: ProjectionTensors, _ settings: ModuleSettings) throws(MoEError) -> Self? {
    guard let weight = found.first(weightSuffixes)?.header, [.u8, .i8].contains(weight.elementType),
      let scale = found.first(scaleSuffixes)?.header, [.u8, .f8e8m0].contains(scale.elementType)
    else { return nil }
    // Of a DeepSeek-V4, `weight_block_size` is that of the other weights.
    if found[".scale"] == nil { try MXSettings.check(settings, groupSize: 32) }
    var scheme = Self(
      found[".weight_packed"] != nil ? .compressedTensors : weight.elementType == .i8 ? .deepSeekV4 : .modelOpt)
    scheme.activations = try .declared(for: found, settings)
    return scheme
  }

  public var name: String { "mxfp4" }

  public var tensors: [QuantizedTensor] {
    let isPacked = naming == .compressedTensors
    let isDeepSeek = naming == .deepSeekV4
    return [
      QuantizedTensor(
        .weight, isPacked ? Self.weightSuffixes : Self.weightSuffixes.reversed(),
        isDeepSeek ? [.i8, .u8] : [.u8, .i8],
        [.rows, .columns(per: 2)]),
      QuantizedTensor(
        .scale, isDeepSeek ? Self.scaleSuffixes.reversed() : Self.scaleSuffixes,
        isDeepSeek ? [.f8e8m0, .u8] : [.u8, .f8e8m0], [.rows, .columns(per: 32)]),
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

  public func makeEncoding(_ weights: WeightMatrix) throws(MoEError) -> [TensorRole: [UInt8]] {
    let format = MiniFloat.e2m1
    let encoder = FloatEncoder(format: format, granularity: .group(32))
    let (codes, scales) = try encoder.encode(weights) { [format.microscale($0)] }
    let packing = CodeReader.Arrangement.rows(rowBytes: weights.columns / 2)
    return [
      .weight: packing.pack(codes, rows: weights.rows, columns: weights.columns, bits: 4),
      .scale: scales.map { E8M0.encode($0) },
    ]
  }
}
