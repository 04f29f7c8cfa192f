// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Checkpoints
internal import Tensors

/// compressed-tensors `pack-quantized`: whole numbers of 1 to 8 bits in words of 32.
///
/// Codes are bit fields from the lowest bit up along *in*, and go on in the next word where they do not fit (32 codes
/// in exactly `bits` words). A code stands 2^(bits − 1) above its number; zero points are packed in the same way along
/// *out*. W = (q − zero point) · scale[n, group]; the group of column k is k / size, or `g_idx[k]` (act-order).
public struct PackedIntegers: QuantizationScheme {
  public static let formatName = "pack-quantized"
  public static let methods = ["compressed-tensors", "auto-round", "intel/auto-round"]

  public var bits: Int
  /// `.channel` or `.group`.
  public var granularity: Granularity
  public var isSymmetric: Bool
  /// What is declared for the input of the product.
  public var activations = ActivationScheme.unquantized

  public init(bits: Int, _ granularity: Granularity, isSymmetric: Bool = true) {
    self.bits = bits
    self.granularity = granularity
    self.isSymmetric = isSymmetric
  }

  static let zeroPointSuffix = ".weight_zero_point"

  public static func recognize(_ found: ProjectionTensors, _ settings: ModuleSettings) throws(MoEError) -> Self? {
    guard let weight = found[".weight_packed"], weight.elementType == .i32 else { return nil }
    guard let group = try CompressedTensorsGroup(settings) else {
      throw MoEError(
        .configuration, "the bits of packed codes are not given", file: settings.file, subject: found.stem,
        expected: "config_groups", found: found.endings)
    }
    switch group.granularity {
    case .channel, .group: break
    case let other:
      throw MoEError(
        .configuration, "packed codes have no scales of this kind", file: settings.file, subject: "strategy",
        expected: "channel or group", found: "\(other)")
    }
    var scheme = Self(
      bits: group.bits, group.granularity, isSymmetric: group.isSymmetric && found[zeroPointSuffix] == nil)
    scheme.activations = try .declared(for: found, settings)
    return scheme
  }

  public var name: String {
    "pack-quantized, \(bits) bits, \(granularity)" + (isSymmetric ? "" : ", asymmetric")
  }

  private var groups: StoredAxis { if case .group(let size) = granularity { .columns(per: size) } else { .fixed(1) } }

  public var tensors: [QuantizedTensor] {
    [
      QuantizedTensor(.weight, [".weight_packed"], [.i32], [.rows, .columns(packing: bits, isRagged: true)]),
      QuantizedTensor(.scale, [".weight_scale"], [.bf16, .f16, .f32], [.rows, groups]),
      QuantizedTensor(
        .zeroPoint, [Self.zeroPointSuffix], [.i32], [.rows(packing: bits, isRagged: true), groups],
        isRequired: !isSymmetric),
      QuantizedTensor(.groupIndex, [".weight_g_idx"], [.i32, .i64], [.columns], isRequired: false),
      QuantizedTensor(.logicalShape, [".weight_shape"], [.i64, .i32], [.fixed(2)], isRequired: false),
    ]
  }

  public var parameters: QuantizationParameters {
    QuantizationParameters(
      .integers(bits: bits), granularity, bits: bits, zeroPoint: isSymmetric ? .none : .storedAroundMiddle,
      hasGroupIndex: true, activations: activations)
  }

  public func makeDecoder(_ stored: StoredProjection) throws(MoEError) -> any TileDecoder {
    try stored.checkLogicalShape()
    let (weight, scale) = (stored.tensors[.weight]!, stored.tensors[.scale]!)
    let groupCount = scale.shape[1]
    let middle = 1 << (bits - 1)
    var decoder = GroupedDecoder(
      stored, CodeReader(weight.bytes, bits: bits, .rows(rowBytes: 4 * weight.shape[1])),
      table: CodeTable.integers(bits: bits, middle: middle), scales: scale.floats,
      .rowMajor(granularity, columns: stored.columns))
    if let zeroPoint = stored.tensors[.zeroPoint] {
      decoder.zeroPoints = (0..<stored.rows * groupCount).map { index in
        let (row, group) = index.quotientAndRemainder(dividingBy: groupCount)
        let code = CodeReader.field(zeroPoint.bytes, bits, stream: group, index: row, streams: groupCount)
        return Float(Int(code) - middle)
      }
    }
    // One group needs no index, and its grid has no step of columns.
    if let index = try stored.groupIndex(groupCount: groupCount), groupCount > 1 { decoder.groupIndex = index }
    return decoder
  }

  public func makeEncoding(_ weights: WeightMatrix) throws(MoEError) -> [TensorRole: [UInt8]] {
    let codes = 0...1 << bits - 1
    let (rows, columns) = (weights.rows, weights.columns)
    let rule = ScaleRule(limit: Float(codes.upperBound) / 2, floor: 0, type: tensor(.scale)!.elementTypes[0])
    let encoded = try IntegerEncoder(
      granularity: granularity, codes: codes, zeroPoints: isSymmetric ? nil : codes, middle: 1 << (bits - 1),
      rule: rule
    ).encode(weights)
    let packing = CodeReader.Arrangement.rows(rowBytes: (columns * bits + 31) / 32 * 4)
    var bytes: [TensorRole: [UInt8]] = [
      .weight: packing.pack(encoded.codes, rows: rows, columns: columns, bits: bits),
      .scale: rule.bytes(encoded.scales), .logicalShape: [rows, columns].flatMap(Int64.littleEndianBytes),
    ]
    if !isSymmetric {
      // Zero points run along *out*, a line of words for each group.
      let groupCount = rows == 0 ? 0 : encoded.scales.count / rows
      let fields = transposed(encoded.zeroPoints.map { UInt8($0) }, rows: rows)
      bytes[.zeroPoint] = CodeReader.Arrangement.columns(of: groupCount)
        .pack(fields, rows: groupCount, columns: rows, bits: bits)
    }
    return bytes
  }
}

extension StoredProjection {
  /// The group of each column; nil when it is not stored, or empty.
  ///
  /// - Throws: `.invalidValue` for a group that there is not.
  func groupIndex(groupCount: Int) throws(MoEError) -> [Int]? {
    guard let tensor = tensors[.groupIndex], !tensor.bytes.isEmpty,
      let index = tensor.elementType.decodeIntegers(tensor.bytes)
    else { return nil }
    if let column = index.firstIndex(where: { !(0..<groupCount).contains($0) }) {
      throw MoEError(
        .invalidValue, "a column is in no group", subject: name, expected: "0..<\(groupCount)",
        found: "\(index[column]) for column \(column)")
    }
    return index
  }

  /// - Throws: `.invalidValue` when the stored numbers are not the size.
  func checkLogicalShape() throws(MoEError) {
    guard let tensor = tensors[.logicalShape] else { return }
    let found = tensor.elementType.decodeIntegers(tensor.bytes) ?? []
    guard found == [rows, columns] else {
      throw MoEError(
        .invalidValue, "the stored size is another one", subject: name, expected: "[\(rows), \(columns)]",
        found: "\(found)")
    }
  }
}

extension Int64 {
  fileprivate static func littleEndianBytes(_ number: Int) -> [UInt8] {
    (0..<8).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) }
  }
}
