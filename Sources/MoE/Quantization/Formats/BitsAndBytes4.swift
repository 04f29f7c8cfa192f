// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Checkpoints
public import Tensors

/// bitsandbytes nf4 and fp4 (QLoRA; Dettmers et al., 2023): nibbles of a code book over the matrix laid out flat, the
/// *high* one first, unlike every other format of 4 bits.
///
/// W = quant_map[code] · absmax[flat / block]. With double quantisation
/// absmax = nested_quant_map[code] · nested_absmax[block / nested block] + nested_offset. The sizes stand in a JSON
/// text in `quant_state`.
public struct BitsAndBytes4: QuantizationScheme {
  public static let formatName = "bitsandbytes 4 bit"
  public static let methods = ["bitsandbytes"]

  /// `nf4` or `fp4`. Values are those of the stored code book.
  public var kind: String
  public var blockSize: Int
  /// The block size of the scales' scales; nil where scales are floats.
  public var nestedBlockSize: Int?

  public init(kind: String = "nf4", blockSize: Int = 64, nestedBlockSize: Int? = nil) {
    self.kind = kind
    self.blockSize = blockSize
    self.nestedBlockSize = nestedBlockSize
  }

  static let stateSuffix = ".weight.quant_state.bitsandbytes__"

  public static func recognize(_ found: ProjectionTensors, _ settings: ModuleSettings) throws(MoEError) -> Self? {
    guard let kind = ["nf4", "fp4"].first(where: { found[stateSuffix + $0] != nil }) else { return nil }
    // Block sizes are in no configuration: they follow from the numbers of tensors, or are the usual ones.
    let codes = found[".weight"]?.shape.elementCount
    let scales = found[".weight.absmax"]?.shape.elementCount
    let block = size(codes?.multipliedReportingOverflow(by: 2).partialValue, scales) ?? 64
    guard let nested = found[".weight.nested_absmax"] else { return Self(kind: kind, blockSize: block) }
    return Self(kind: kind, blockSize: block, nestedBlockSize: size(scales, nested.shape.elementCount) ?? 256)
  }

  /// The power of two that makes `parts` of `whole`.
  private static func size(_ whole: Int?, _ parts: Int?) -> Int? {
    guard let whole, let parts, parts > 1, whole > 0, whole % parts == 0 else { return nil }
    let size = whole / parts
    return size & (size - 1) == 0 ? size : nil
  }

  public var name: String {
    "bitsandbytes \(kind), \(parameters.granularity)" + (nestedBlockSize == nil ? "" : ", double quantised")
  }

  public var tensors: [QuantizedTensor] {
    var tensors = [
      QuantizedTensor(.weight, [".weight"], [.u8], [.elements(per: 2), .fixed(1)]),
      QuantizedTensor(
        .scale, [".weight.absmax"], [nestedBlockSize == nil ? .f32 : .u8], [.elements(per: blockSize)]),
      QuantizedTensor(.codebook, [".weight.quant_map"], [.f32], [.fixed(16)]),
      QuantizedTensor(.state, [Self.stateSuffix + kind], [.u8], [.any]),
    ]
    if let nestedBlockSize {
      let (size, overflow) = blockSize.multipliedReportingOverflow(by: nestedBlockSize)
      tensors += [
        QuantizedTensor(.nestedScale, [".weight.nested_absmax"], [.f32], [.elements(per: overflow ? .max : size)]),
        QuantizedTensor(.nestedCodebook, [".weight.nested_quant_map"], [.f32], [.fixed(256)]),
      ]
    }
    return tensors
  }

  public var parameters: QuantizationParameters { QuantizationParameters(.codebook4, .flat(blockSize), bits: 4) }

  /// Scales of two levels are multiplied out.
  public func codedForm(columns: Int, stored: [TensorRole: ElementType]) -> CodedForm? {
    parameters.codedForm(columns: columns, scale: .f32)
  }

  public func makeDecoder(_ stored: StoredProjection) throws(MoEError) -> any TileDecoder {
    let state = try state(stored)
    let scale = stored.tensors[.scale]!
    var scales = scale.elementType == .u8 ? [] : scale.floats
    if let nestedBlockSize {
      let (nested, codebook) = (stored.tensors[.nestedScale]!.floats, stored.tensors[.nestedCodebook]!.floats)
      let offset = Float(state["nested_offset"]?.number ?? 0)
      scales = scale.bytes.enumerated().map { codebook[Int($1)] * nested[$0 / nestedBlockSize] + offset }
    }
    return GroupedDecoder(
      stored, CodeReader(stored.tensors[.weight]!.bytes, bits: 4, .flatHighFirst(columns: stored.columns)),
      table: stored.tensors[.codebook]!.floats, scales: scales, .flat(blockSize))
  }

  public func makeEncoding(_ weights: WeightMatrix) throws(MoEError) -> [TensorRole: [UInt8]] {
    guard nestedBlockSize == nil else {
      throw MoEError(
        .unsupported, "double quantised scales are read, not written", expected: "a nestedBlockSize of nil",
        found: "\(nestedBlockSize!)")
    }
    guard let codebook = Self.codebooks[kind] else {
      throw MoEError(.unsupported, "unknown kind of codes", expected: "nf4 or fp4", found: kind)
    }
    let nearest = NearestCode(codebook)
    var codes = [UInt8](repeating: 0, count: weights.values.count)
    var scales: [Float] = []
    for group in weights.groups(.flat(blockSize)) {
      let scale = weights.greatestMagnitude(group)
      scales.append(scale)
      let inverse = scale > 0 ? 1 / max(scale, .leastNormalMagnitude) : 0
      for place in group.run(0) { codes[place] = nearest.code(weights.values[place] * inverse) }
    }
    let packing = CodeReader.Arrangement.flatHighFirst(columns: weights.columns)
    return [
      .weight: packing.pack(codes, rows: weights.rows, columns: weights.columns, bits: 4),
      .scale: ElementType.f32.encode(scales), .codebook: ElementType.f32.encode(codebook),
      .state: state(rows: weights.rows, columns: weights.columns),
    ]
  }

  /// The values of the codes, by kind. fp4 is bitsandbytes' own, not e2m1: its codes with a sign are the upper half.
  static let codebooks: [String: [Float]] = [
    "nf4": NormalFloat4.table, "fp4": fp4Magnitudes + fp4Magnitudes.map { -$0 },
  ]

  private static let fp4Magnitudes: [Float] = [
    0, 0.005_208_333_3, 0.666_666_7, 1, 0.333_333_34, 0.5, 0.166_666_67, 0.25,
  ]

  /// The JSON of `quant_state`, padded with spaces so that its length does not depend on the sizes.
  private func state(rows: Int, columns: Int) -> [UInt8] {
    let state: JSONValue = [
      "quant_type": .string(kind), "blocksize": .integer(blockSize), "dtype": "bfloat16",
      "shape": [.integer(rows), .integer(columns)],
    ]
    let text = Array(state.serialized().utf8)
    return text + [UInt8](repeating: 0x20, count: (128 - text.count % 128) % 128)
  }

  /// The JSON of the projection.
  ///
  /// - Throws: `.invalidValue` when it is none, or says other sizes.
  private func state(_ stored: StoredProjection) throws(MoEError) -> JSONValue {
    let subject = stored.name + Self.stateSuffix + kind
    let state: JSONValue
    do throws(CheckpointError) {
      state = try JSONValue(parsing: stored.tensors[.state]!.bytes, file: subject)
    } catch {
      throw MoEError(error.faults)
    }
    func demand(_ key: String, _ expected: JSONValue) throws(MoEError) {
      guard state[key] != expected else { return }
      throw MoEError(
        .invalidValue, "the state of the quantisation says otherwise", subject: "\(subject): \(key)",
        expected: expected.serialized(), found: state[key]?.serialized() ?? "nothing")
    }
    try demand("quant_type", .string(kind))
    try demand("blocksize", .integer(blockSize))
    try demand("shape", [.integer(stored.rows), .integer(stored.columns)])
    if let nestedBlockSize {
      try demand("nested_blocksize", .integer(nestedBlockSize))
      guard state["nested_offset"]?.number != nil else {
        throw MoEError(
          .invalidValue, "the offset of the scales is not given", subject: subject, expected: "nested_offset",
          found: state.serialized())
      }
    }
    return state
  }
}
