// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Tensors

/// bitsandbytes LLM.int8 (Dettmers et al., 2022): signed bytes and the greatest magnitude of each row.
/// W = q · SCB[n] / 127.
public struct BitsAndBytes8: QuantizationScheme {
  public static let formatName = "bitsandbytes int8"
  public static let methods = ["bitsandbytes"]

  public init() {}

  public static func recognize(_ found: ProjectionTensors, _ settings: ModuleSettings) throws(MoEError) -> Self? {
    found[".SCB"] != nil ? Self() : nil
  }

  public var name: String { "bitsandbytes int8" }

  public var tensors: [QuantizedTensor] {
    [
      QuantizedTensor(.weight, [".weight"], [.i8], [.rows, .columns]),
      QuantizedTensor(.scale, [".SCB"], [.f32, .f16, .bf16], [.rows]),
      .scalar(.arrangement, [".weight_format"], [.u8], isRequired: false),
    ]
  }

  public var parameters: QuantizationParameters { QuantizationParameters(.int8, .channel, bits: 8) }

  public func makeDecoder(_ stored: StoredProjection) throws(MoEError) -> any TileDecoder {
    if let arrangement = stored.tensors[.arrangement]?.bytes.first, arrangement != 0 {
      throw MoEError(
        .invalidValue, "the weights are arranged for a GPU", subject: stored.name + ".weight_format",
        expected: "0 (row after row)", found: "\(arrangement)", remedy: "save the model again with a newer bitsandbytes"
      )
    }
    var decoder = GroupedDecoder(
      stored, CodeReader(stored.tensors[.weight]!.bytes, bits: 8, .rows(rowBytes: stored.columns)),
      table: CodeTable.signedBytes, scales: stored.tensors[.scale]!.floats,
      .rowMajor(.channel, columns: stored.columns))
    decoder.divisor = 127
    return decoder
  }

  public func makeEncoding(_ weights: WeightMatrix) throws(MoEError) -> [TensorRole: [UInt8]] {
    var codes: [UInt8] = []
    var scales: [Float] = []
    codes.reserveCapacity(weights.values.count)
    for group in weights.groups(.channel) {
      let greatest = weights.greatestMagnitude(group)
      // The decoder's product is rounded before it is divided: of decoded weights the scale may be a neighbour.
      let trials = [greatest, greatest.nextDown, greatest.nextUp]
      func code(_ value: Float, _ scale: Float) -> Float {
        scale > 0 ? (value / scale * 127).rounded(.toNearestOrEven) : 0
      }
      let scale =
        trials.first { scale in weights.allSatisfy(group) { code($0, scale) * scale / 127 == $0 } } ?? greatest
      scales.append(scale)
      for place in group.run(0) { codes.append(UInt8(bitPattern: Int8(code(weights.values[place], scale)))) }
    }
    return [.weight: codes, .scale: ElementType.f32.encode(scales), .arrangement: [0]]
  }
}
