// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import MoE
import Tensors

/// Schemes with parameters of every kind, and projections that their declarations allow.
enum RandomProjection {
  static let schemes: [any QuantizationScheme] = floats + integers + packed

  private static let floats: [any QuantizationScheme] = [
    Unquantized(.bf16), Unquantized(.f32), FP8(.tensor), FP8(.channel), FP8(.group(32)),
    FP8(.block(rows: 128, columns: 128)), FP8(.block(rows: 20, columns: 36)), MXFP8(), MXFP6(), MXFP4(), GPTOSSMXFP4(),
    NVFP4(isInverse: true), NVFP4(isInverse: false),
  ]

  private static let integers: [any QuantizationScheme] = [
    ChannelIntegers(.tensor), ChannelIntegers(.channel), ChannelIntegers(.group(32), bits: 4),
    ChannelIntegers(.channel, isSymmetric: false), BitsAndBytes8(), BitsAndBytes4(),
    BitsAndBytes4(kind: "fp4", blockSize: 32, nestedBlockSize: 8), AWQ(groupSize: 32), AWQ(groupSize: nil),
    GPTQ(bits: 2, groupSize: 32), GPTQ(bits: 3, groupSize: 32), GPTQ(bits: 4, groupSize: 32),
    GPTQ(bits: 8, groupSize: 32), GPTQ(bits: 4, groupSize: 32, isVersion2: true, isActOrdered: true),
    GPTQ(bits: 4, groupSize: nil),
  ]

  private static let packed: [any QuantizationScheme] =
    (1...8).map { PackedIntegers(bits: $0, .group(32)) }
    + [PackedIntegers(bits: 3, .group(32), isSymmetric: false), PackedIntegers(bits: 5, .channel, isSymmetric: false)]

  /// Every tensor that is declared, with contents that have a meaning.
  static func make(_ scheme: any QuantizationScheme, rows: Int = 96, columns: Int = 128) -> StoredProjection {
    var generator = Generator()
    var stored = StoredProjection("p", rows: rows, columns: columns, [:])
    let groups = scheme.tensor(.scale)?.layouts[0].compactMap { axis in
      axis.extent == .columns ? axis.extent(rows: rows, columns: columns) : nil
    }.first
    for tensor in scheme.tensors {
      if tensor.role == .state {
        let state = Array(state(scheme, rows: rows, columns: columns).utf8)
        stored.tensors[.state] = StoredTensor(.u8, [state.count], state)
        continue
      }
      let (type, shape) = (tensor.elementTypes[0], tensor.shapes(rows: rows, columns: columns)[0])
      let count = shape.elementCount!
      let bytes: [UInt8]
      switch tensor.role {
      case .groupIndex: bytes = int32((0..<count).map { _ in Int(generator.next(below: groups ?? 1)) })
      case .logicalShape: bytes = [rows, columns].flatMap { [UInt8($0), 0, 0, 0, 0, 0, 0, 0] }
      case .arrangement: bytes = [0]
      case _ where [.f32, .f16, .bf16].contains(type):
        bytes = type.encode((0..<count).map { _ in 0.25 + Float(generator.next(below: 64)) / 64 })
      case .scale where type == .u8 || type == .f8e8m0:
        bytes = (0..<count).map { _ in UInt8(120 + generator.next(below: 16)) }
      case .scale where type == .f8e4m3: bytes = (0..<count).map { _ in UInt8(48 + generator.next(below: 24)) }
      default: bytes = (0..<count * type.bitWidth / 8).map { _ in UInt8(generator.next(below: 256)) }
      }
      stored.tensors[tensor.role] = StoredTensor(type, shape, bytes)
    }
    return stored
  }

  static func int32(_ values: [Int]) -> [UInt8] {
    values.flatMap { value in (0..<4).map { UInt8(value >> (8 * $0) & 255) } }
  }

  private static func state(_ scheme: any QuantizationScheme, rows: Int, columns: Int) -> String {
    guard let scheme = scheme as? BitsAndBytes4 else { return "{}" }
    let nested = scheme.nestedBlockSize.map { #", "nested_blocksize": \#($0), "nested_offset": 0.5"# } ?? ""
    let sizes = #""blocksize": \#(scheme.blockSize), "shape": [\#(rows), \#(columns)]"#
    return #"{"quant_type": "\#(scheme.kind)", \#(sizes)\#(nested)}"#
  }

  /// SplitMix64.
  private struct Generator {
    var state: UInt64 = 7

    mutating func next(below bound: Int) -> Int {
      state &+= 0x9E37_79B9_7F4A_7C15
      var z = state
      z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
      z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
      return Int((z ^ (z >> 31)) % UInt64(bound))
    }
  }
}
