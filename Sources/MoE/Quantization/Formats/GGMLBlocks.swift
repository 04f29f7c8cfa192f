// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Checkpoints
public import Tensors

/// The block types of ggml, as GGUF files hold them: codes and scales together in blocks of 32 to 256 columns.
///
/// A row is a whole number of blocks. Gate, up and down of a layer may be of different types. The scale and minimum of a
/// block may be negative or 0. NVFP4 may come with a scale for each expert, in a tensor of its own.
public struct GGMLBlocks: QuantizationScheme {
  public static let formatName = "ggml blocks"
  public static let methods = ["gguf"]

  /// A type of blocks, no plain elements.
  public var type: GGMLType

  /// - Precondition: `type` has blocks.
  public init(_ type: GGMLType) {
    precondition(type.coding != nil, "\(type) has no blocks")
    self.type = type
  }

  public static func recognize(_ found: ProjectionTensors, _ settings: ModuleSettings) throws(MoEError) -> Self? {
    found[".weight"]?.ggmlType.map { Self($0) }
  }

  public var name: String { type.name }

  public var tensors: [QuantizedTensor] {
    var weight = QuantizedTensor(
      .weight, [".weight"], [.u8],
      [.rows, StoredAxis(.columns, step: type.blockElements, entries: type.blockBytes)])
    weight.ggmlType = type
    guard type == .nvfp4 else { return [weight] }
    return [
      weight, .scalar(.globalScale, [".scale"], [.f32], isRequired: false),
      .scalar(.inputScale, [".input_scale"], [.f32], isRequired: false),
    ]
  }

  public var parameters: QuantizationParameters {
    let coding = type.coding!
    return QuantizationParameters(
      .ggmlBlock, .group(coding.group), bits: coding.bits, zeroPoint: coding.hasMinimums ? .stored : .none)
  }

  public func makeEncoding(_ weights: WeightMatrix) throws(MoEError) -> [TensorRole: [UInt8]] {
    guard type.isEncodable else {
      throw MoEError(
        .unsupported, "\(type) is read, not written",
        expected: GGMLType.encodable.map(\.name).joined(separator: ", "))
    }
    return [.weight: type.encode(weights.values)]
  }

  public func codedForm(columns: Int, stored: [TensorRole: ElementType]) -> CodedForm? {
    let coding = type.coding!
    let isIntegral = CodedForm.isIntegral(coding.table)
    guard coding.isTwoLevel else {
      let scale: CodedForm.Number = type == .mxfp4 ? .e8m0 : type == .nvfp4 ? .e4m3 : .f16
      return CodedForm(
        bits: coding.bits, group: coding.group, scale: scale, correction: coding.hasMinimums ? .minimum(.f16) : .none,
        factor: stored[.globalScale].map { _ in CodedForm.Factor(group: nil, .f32) }, isIntegral: isIntegral,
        code: coding.table == MiniFloat.e2m1.table ? .e2m1 : CodedForm.isCounting(coding.table) ? .integer : nil)
    }
    return CodedForm(
      bits: coding.bits, group: coding.group, scale: Self.signedScales.contains(type) ? .i8 : .u8,
      correction: coding.hasMinimums ? .minimum(.u8) : .none,
      factor: CodedForm.Factor(group: type.blockElements, Self.halfFactors.contains(type) ? .f16 : .f32),
      isIntegral: isIntegral)
  }

  /// Types whose scales of groups may be negative.
  private static let signedScales: Set<GGMLType> = [.q3_K, .q6_K, .iq4_XS]
  /// Types whose factors are as stored; the others' are multiples, which may have no half.
  private static let halfFactors: Set<GGMLType> = [.q2_K, .q3_K, .q4_K, .q5_K, .q6_K, .iq4_XS]

  public func makeDecoder(_ stored: StoredProjection) throws(MoEError) -> any TileDecoder {
    let decoder = GGMLDecoder(
      rows: stored.rows, columns: stored.columns, type: type, bytes: stored.tensors[.weight]!.bytes)
    guard let scale = stored.tensors[.globalScale]?.floats.first else { return decoder }
    return ScaledGGMLDecoder(base: decoder, scale: scale)
  }
}

/// Blocks by ggml's own rules.
private struct GGMLDecoder: TileDecoder {
  let rows: Int
  let columns: Int
  let type: GGMLType
  let bytes: [UInt8]

  func decode(rows: Range<Int>, columns: Range<Int>, into tile: inout MutableSpan<Float>) {
    type.decode(rows: rows, columns: columns, rowLength: self.columns, of: bytes, into: &tile)
  }

  func coded(rows: Range<Int>, columns: Range<Int>) -> CodedWeights? {
    let size = type.blockElements
    guard let coding = type.coding, var parts = GGMLBlockParts(type), columns.lowerBound % size == 0,
      columns.upperBound % size == 0
    else { return nil }
    var (codes, scales, minimums): ([UInt8], [Float], [Float]) = ([], [], [])
    var factors = CodedWeights.Factors(group: size, scales: [])
    codes.reserveCapacity(rows.count * columns.count)
    for row in rows {
      for block in columns.lowerBound / size..<columns.upperBound / size {
        type.split(bytes, block: row * (self.columns / size) + block, into: &parts)
        codes += parts.codes
        scales += parts.scales
        if coding.hasMinimums { minimums += parts.minimums }
        guard coding.isTwoLevel else { continue }
        factors.scales.append(parts.factor)
        if coding.hasMinimums { factors.minimums.append(parts.minimumFactor) }
      }
    }
    return CodedWeights(
      rows: rows.count, columns: columns.count, bits: coding.bits, table: coding.table, codes: codes,
      group: coding.group, scales: scales, correction: coding.hasMinimums ? .minimum(minimums) : .none,
      factors: coding.isTwoLevel ? factors : nil)
  }

  /// Scales and minima that are no finite numbers. They may be negative or 0.
  func scaleFaults(rows: [Range<Int>], columns: Range<Int>) -> [ValueFault] {
    guard var parts = GGMLBlockParts(type) else { return [] }
    var tally = FaultTally()
    for block in type.blocksWithWrongScales(bytes) {
      type.split(bytes, block: block, into: &parts)
      let numbers = [parts.factor, parts.minimumFactor] + parts.scales + parts.minimums
      let (row, place) = block.quotientAndRemainder(dividingBy: self.columns / type.blockElements)
      tally.note(
        .weight, "a scale is not finite", "\(numbers.first { !$0.isFinite } ?? .nan) in block [\(row), \(place)]")
    }
    return tally.faults
  }

  func cause(ofNonFinite row: Int, _ column: Int) -> String? {
    let block = row * (columns / type.blockElements) + column / type.blockElements
    let isScale = type.hasWrongScale(bytes, block: block)
    return isScale ? nil : "a weight is not finite"
  }
}

/// Blocks below a scale for the whole matrix: the value of a code · (scale · the block's).
private struct ScaledGGMLDecoder: TileDecoder {
  let base: GGMLDecoder
  let scale: Float

  var rows: Int { base.rows }
  var columns: Int { base.columns }

  func decode(rows: Range<Int>, columns: Range<Int>, into tile: inout MutableSpan<Float>) {
    let size = base.type.blockElements
    // Whole blocks, and of them what is wanted.
    let whole = columns.lowerBound / size * size..<(columns.upperBound + size - 1) / size * size
    guard !columns.isEmpty, let values = coded(rows: rows, columns: whole)?.decode() else { return }
    var place = 0
    for row in 0..<rows.count {
      for column in columns {
        tile[place] = values[row * whole.count + column - whole.lowerBound]
        place += 1
      }
    }
  }

  func coded(rows: Range<Int>, columns: Range<Int>) -> CodedWeights? {
    guard var weights = base.coded(rows: rows, columns: columns) else { return nil }
    weights.factors = CodedWeights.Factors(
      group: max(columns.count, 1), scales: [Float](repeating: scale, count: rows.count))
    return weights
  }

  func scaleFaults(rows: [Range<Int>], columns: Range<Int>) -> [ValueFault] {
    guard scale.isFinite else {
      return [
        ValueFault(
          .globalScale,
          Fault(.invalidValue, "the scale of the matrix is not finite", expected: "a finite number", found: "\(scale)"))
      ]
    }
    return base.scaleFaults(rows: rows, columns: columns)
  }

  func cause(ofNonFinite row: Int, _ column: Int) -> String? {
    scale.isFinite ? base.cause(ofNonFinite: row, column) : nil
  }
}
