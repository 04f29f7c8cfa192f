// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Checkpoints
internal import Tensors

/// GPTQ: codes of 2, 3, 4 or 8 bits, packed along *in*; also AutoRound's `auto_round:auto_gptq`.
///
/// `qweight` `[in·bits/32, out]` holds bit fields from the lowest bit up, down its columns (3-bit codes go on in the
/// next word: 32 of them fill 3); `qzeros` `[groups, out·bits/32]` along its rows. A zero point is the field in version
/// 2, and the field plus one in version 1. W = (q − zero point) · scales[group, n]; the group of column k is k / size,
/// or `g_idx[k]`.
public struct GPTQ: QuantizationScheme {
  public static let formatName = "GPTQ"
  public static let methods = ["gptq", "auto-round", "intel/auto-round"]

  public var bits: Int
  /// nil for one group.
  public var groupSize: Int?
  /// Whether zero points are stored as they are.
  public var isVersion2: Bool
  /// Whether `g_idx` must be there.
  public var isActOrdered: Bool
  /// Whether the zero points that are written are all the middle of the range.
  public var isSymmetric: Bool

  public init(
    bits: Int, groupSize: Int?, isVersion2: Bool = false, isActOrdered: Bool = false, isSymmetric: Bool = true
  ) {
    self.isSymmetric = isSymmetric
    self.bits = bits
    self.groupSize = groupSize
    self.isVersion2 = isVersion2
    self.isActOrdered = isActOrdered
  }

  public static func recognize(_ found: ProjectionTensors, _ settings: ModuleSettings) throws(MoEError) -> Self? {
    guard found[".qweight"] != nil else { return nil }
    guard let bits = try settings.integer("bits"), [2, 3, 4, 8].contains(bits) else {
      throw settings.mismatch("bits", "2, 3, 4 or 8", settings["bits"] ?? .null)
    }
    let format = try settings.string("checkpoint_format") ?? "gptq"
    guard ["gptq", "gptq_v2"].contains(format) else {
      throw settings.mismatch("checkpoint_format", "gptq or gptq_v2", .string(format))
    }
    if try settings.boolean("is_marlin_format") == true {
      throw settings.mismatch("is_marlin_format", "false (codes in the order of a kernel are not read)", true)
    }
    if let packing = try settings.string("packing_format"), !packing.hasSuffix("gptq") {
      throw settings.mismatch("packing_format", "auto_round:auto_gptq", .string(packing))
    }
    let groupSize = try settings.groupSize()
    let isActOrdered = try settings.boolean("desc_act") ?? false
    return Self(
      bits: bits, groupSize: groupSize, isVersion2: format == "gptq_v2",
      isActOrdered: isActOrdered && groupSize != nil, isSymmetric: try settings.boolean("sym") ?? true)
  }

  public var name: String {
    "GPTQ, \(bits) bits, \(parameters.granularity)" + (isActOrdered ? ", act-order" : "")
  }

  private var groups: StoredAxis { groupSize.map { .columns(per: $0) } ?? .fixed(1) }

  public var tensors: [QuantizedTensor] {
    [
      QuantizedTensor(.weight, [".qweight"], [.i32], [.columns(packing: bits), .rows]),
      QuantizedTensor(.zeroPoint, [".qzeros"], [.i32], [groups, .rows(packing: bits)]),
      QuantizedTensor(.scale, [".scales"], [.f16, .bf16, .f32], [groups, .rows]),
      QuantizedTensor(
        .groupIndex, [".g_idx"], [.i32, .i64], layouts: isActOrdered ? [[.columns]] : [[.columns], [.fixed(0)]],
        isRequired: isActOrdered),
    ]
  }

  public var parameters: QuantizationParameters {
    QuantizationParameters(
      .integers(bits: bits), groupSize.map { .group($0) } ?? .channel, bits: bits,
      zeroPoint: isVersion2 ? .stored : .storedMinusOne, hasGroupIndex: true)
  }

  public func makeDecoder(_ stored: StoredProjection) throws(MoEError) -> any TileDecoder {
    let (weight, scale, zeros) = (stored.tensors[.weight]!, stored.tensors[.scale]!, stored.tensors[.zeroPoint]!)
    let groupCount = scale.shape[0]
    var decoder = GroupedDecoder(
      stored, CodeReader(weight.bytes, bits: bits, .columns(of: stored.rows)), table: CodeTable.integers(bits: bits),
      scales: scale.floats, .columnMajor(groupSize: groupSize ?? .max, rows: stored.rows))
    let fields = CodeReader(zeros.bytes, bits: bits, .rows(rowBytes: 4 * zeros.shape[1]))
    decoder.zeroPoints = fields.all(rows: groupCount, columns: stored.rows).map { Float($0) + (isVersion2 ? 0 : 1) }
    decoder.groupIndex = try stored.groupIndex(groupCount: groupCount)
    return decoder
  }

  public func makeEncoding(_ weights: WeightMatrix) throws(MoEError) -> [TensorRole: [UInt8]] {
    let codes = 0...1 << bits - 1
    let (rows, columns) = (weights.rows, weights.columns)
    let rule = ScaleRule(limit: Float(codes.upperBound) / 2, floor: 0, type: tensor(.scale)!.elementTypes[0])
    // Version 1 stores a zero point less one, and so never 0.
    let least = isVersion2 ? 0 : 1
    let encoded = try IntegerEncoder(
      granularity: parameters.granularity, codes: codes, zeroPoints: isSymmetric ? nil : least...codes.upperBound,
      middle: 1 << (bits - 1), rule: rule
    ).encode(weights)
    let groupCount = groupSize.map { columns / $0 } ?? 1
    let fields = encoded.zeroPoints.map { UInt8($0 - least) }
    let packing = CodeReader.Arrangement.rows(rowBytes: (rows * bits + 31) / 32 * 4)
    var bytes: [TensorRole: [UInt8]] = [
      .weight: CodeReader.Arrangement.columns(of: rows).pack(encoded.codes, rows: rows, columns: columns, bits: bits),
      .zeroPoint: packing.pack(transposed(fields, rows: rows), rows: groupCount, columns: rows, bits: bits),
      .scale: rule.bytes(transposed(encoded.scales, rows: rows)),
    ]
    // Columns in the order of the matrix: nothing here says which of them matter more.
    if isActOrdered, let groupSize {
      bytes[.groupIndex] = (0..<columns).flatMap { column in
        (0..<4).map { UInt8(truncatingIfNeeded: (column / groupSize) >> (8 * $0)) }
      }
    }
    return bytes
  }
}
