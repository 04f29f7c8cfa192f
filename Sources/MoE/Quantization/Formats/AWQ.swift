// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Checkpoints
internal import Tensors

/// AWQ of version `gemm`: nibbles packed along *out*; also AutoRound's `auto_round:auto_awq`.
///
/// `qweight` `[in, out/8]` and `qzeros` `[groups, out/8]`: slot i of a word holds column [0, 2, 4, 6, 1, 3, 5, 7][i] of
/// its eight. W = (q − zero point) · scales[group, n].
public struct AWQ: QuantizationScheme {
  public static let formatName = "AWQ"
  public static let methods = ["awq", "auto-round", "intel/auto-round"]

  /// nil for one group.
  public var groupSize: Int?

  public init(groupSize: Int?) { self.groupSize = groupSize }

  public static func recognize(_ found: ProjectionTensors, _ settings: ModuleSettings) throws(MoEError) -> Self? {
    guard let weight = found[".qweight"] else { return nil }
    let packing = try settings.string("packing_format")
    var isAWQ = settings.method == "awq" || packing?.hasSuffix("awq") == true
    if settings.method == nil, let words = weight.shape.dimensions.last, let scales = found[".scales"] {
      // Nobody says: GPTQ has a word for each output, AWQ one for eight.
      isAWQ = scales.shape.dimensions.last == words.multipliedReportingOverflow(by: 8).partialValue
    }
    guard isAWQ else { return nil }
    let version = try settings.string("version")?.lowercased() ?? "gemm"
    guard version == "gemm" else {
      throw settings.mismatch("version", "gemm (the others are packed in another way)", .string(version))
    }
    guard let bits = try settings.integer("bits"), bits == 4 else {
      throw settings.mismatch("bits", "4", settings["bits"] ?? .null)
    }
    return Self(groupSize: try settings.groupSize())
  }

  public var name: String { "AWQ, 4 bits, \(parameters.granularity)" }

  private var groups: StoredAxis { groupSize.map { .columns(per: $0) } ?? .fixed(1) }

  public var tensors: [QuantizedTensor] {
    [
      QuantizedTensor(.weight, [".qweight"], [.i32], [.columns, .rows(per: 8)]),
      QuantizedTensor(.zeroPoint, [".qzeros"], [.i32], [groups, .rows(per: 8)]),
      QuantizedTensor(.scale, [".scales"], [.f16, .bf16, .f32], [groups, .rows]),
    ]
  }

  public var parameters: QuantizationParameters {
    QuantizationParameters(.int4Affine, groupSize.map { .group($0) } ?? .channel, bits: 4, zeroPoint: .stored)
  }

  public func makeDecoder(_ stored: StoredProjection) throws(MoEError) -> any TileDecoder {
    let (weight, scale, zeros) = (stored.tensors[.weight]!, stored.tensors[.scale]!, stored.tensors[.zeroPoint]!)
    var decoder = GroupedDecoder(
      stored, CodeReader(weight.bytes, bits: 4, .interleaved(rowWords: stored.rows / 8)),
      table: CodeTable.integers(bits: 4), scales: scale.floats,
      .columnMajor(groupSize: groupSize ?? .max, rows: stored.rows))
    // The zero points are a matrix [groups, out] of the same packing.
    let fields = CodeReader(zeros.bytes, bits: 4, .interleaved(rowWords: stored.rows / 8))
    decoder.zeroPoints = (0..<scale.shape[0]).flatMap { group in
      (0..<stored.rows).map { Float(fields.interleaved(line: group, place: $0, rowWords: stored.rows / 8)) }
    }
    return decoder
  }

  public func makeEncoding(_ weights: WeightMatrix) throws(MoEError) -> [TensorRole: [UInt8]] {
    let (rows, columns) = (weights.rows, weights.columns)
    let rule = ScaleRule(limit: 15, floor: 0, type: tensor(.scale)!.elementTypes[0])
    let encoded = try IntegerEncoder(
      granularity: parameters.granularity, codes: 0...15, zeroPoints: 0...15, rule: rule
    ).encode(weights)
    let groupCount = groupSize.map { columns / $0 } ?? 1
    let packing = CodeReader.Arrangement.interleaved(rowWords: rows / 8)
    return [
      .weight: packing.pack(encoded.codes, rows: rows, columns: columns, bits: 4),
      .zeroPoint: packing.pack(encoded.zeroPoints.map { UInt8($0) }, rows: rows, columns: groupCount, bits: 4),
      .scale: rule.bytes(transposed(encoded.scales, rows: rows)),
    ]
  }
}
