// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Tensors

/// MXFP8: e4m3 with an e8m0 scale for 32 columns (OCP MX 1.0). W = q · 2^(scale − 127).
///
/// compressed-tensors `mxfp8-quantized`, ModelOpt MXFP8, Quark.
public struct MXFP8: QuantizationScheme {
  public static let formatName = "mxfp8"
  public static let methods = ["compressed-tensors", "modelopt", "quark", "auto-round", "intel/auto-round"]

  /// What is declared for the input of the product.
  public var activations = ActivationScheme.unquantized

  public init() {}

  static let groupSize = 32
  static let weightSuffixes = [".weight", ""]
  static let scaleSuffixes = [".weight_scale", "_weight_scale"]

  public static func recognize(_ found: ProjectionTensors, _ settings: ModuleSettings) throws(MoEError) -> Self? {
    guard let weight = found.first(weightSuffixes)?.header, weight.elementType == .f8e4m3,
      let scale = found.first(scaleSuffixes)?.header
    else { return nil }
    // fp8 with blocks may have E8M0 scales, too; bytes are MX.
    let isDeclared = try MXSettings.names(settings, ["mxfp8"])
    guard scale.elementType == .u8 || scale.elementType == .f8e8m0 && isDeclared else { return nil }
    try MXSettings.check(settings, groupSize: groupSize)
    var scheme = Self()
    scheme.activations = try .declared(for: found, settings)
    return scheme
  }

  public var name: String { "mxfp8" }

  public var tensors: [QuantizedTensor] {
    [
      QuantizedTensor(.weight, Self.weightSuffixes, [.f8e4m3], [.rows, .columns]),
      QuantizedTensor(.scale, Self.scaleSuffixes, [.u8, .f8e8m0], [.rows, .columns(per: Self.groupSize)]),
      .scalar(.inputScale, [".input_scale"], isRequired: activations.isStatic),
    ]
  }

  public var parameters: QuantizationParameters {
    QuantizationParameters(.fp8, .group(Self.groupSize), bits: 8, activations: activations)
  }

  public func makeDecoder(_ stored: StoredProjection) throws(MoEError) -> any TileDecoder {
    GroupedDecoder(
      stored, CodeReader(stored.tensors[.weight]!.bytes, bits: 8, .rows(rowBytes: stored.columns)),
      table: MiniFloat.e4m3fn.table, scales: stored.tensors[.scale]!.scales,
      .rowMajor(.group(Self.groupSize), columns: stored.columns))
  }

  public func makeEncoding(_ weights: WeightMatrix) throws(MoEError) -> [TensorRole: [UInt8]] {
    let format = MiniFloat.e4m3fn
    let encoder = FloatEncoder(format: format, granularity: .group(Self.groupSize))
    let (codes, scales) = try encoder.encode(weights) { greatest in
      [E8M0.decode(E8M0.encode(max(greatest, .leastNormalMagnitude) / format.greatestFinite, rounding: .up))]
    }
    return [.weight: codes, .scale: scales.map { E8M0.encode($0) }]
  }
}

/// How configurations name the MX formats.
enum MXSettings {
  /// Whether the format or the algorithm of a module has one of these names in it.
  static func names(_ settings: ModuleSettings, _ names: [String]) throws(MoEError) -> Bool {
    let said = [try CompressedTensorsGroup(settings)?.format, try settings.string("quant_algo")]
    return said.contains { text in names.contains { text?.lowercased().contains($0) ?? false } }
  }

  /// - Throws: `.configuration` when the group size is given and another one.
  static func check(_ settings: ModuleSettings, groupSize: Int) throws(MoEError) {
    let declared: Int?
    if case .group(let size)? = try CompressedTensorsGroup(settings)?.granularity {
      declared = size
    } else {
      declared = try settings.groupSize()
    }
    guard let declared, declared != groupSize else { return }
    throw MoEError(
      .configuration, "the format has another group size", file: settings.file, subject: "group_size",
      expected: "\(groupSize)", found: "\(declared)")
  }
}
