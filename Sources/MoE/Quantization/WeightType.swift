// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import Tensors

/// A type of weights by its name in commands: one word for the format with all its parameters.
///
/// ```swift
/// let type = try WeightType(parsing: "int4-g128")
/// type.bitsPerWeight                  // 4.125
/// type.scheme.name                    // "pack-quantized, 4 bits, groups of 128"
/// ```
public enum WeightType: Sendable, Hashable {
  case f32
  case f16
  case bf16
  /// e4m3 with a scale for the matrix.
  case fp8Tensor
  /// e4m3 with a scale for each row.
  case fp8Channel
  /// e4m3 with a scale for each block of 128 × 128.
  case fp8Block
  /// Signed bytes with a scale for each row.
  case int8Channel
  /// Bytes with a scale for each group.
  case int8Group(Int)
  /// Nibbles with a scale, and perhaps a zero point, for each group.
  case int4Group(Int, isSymmetric: Bool)
  case mxfp4
  case mxfp8
  case nvfp4
  case nf4
  /// A block type of ggml.
  case ggml(GGMLType)
}

extension WeightType {
  /// The types without a group size, by name.
  private static let named: [(name: String, type: WeightType)] =
    [
      ("f32", .f32), ("f16", .f16), ("bf16", .bf16), ("fp8-tensor", .fp8Tensor), ("fp8-channel", .fp8Channel),
      ("fp8-block", .fp8Block), ("int8-channel", .int8Channel), ("mxfp4", .mxfp4), ("mxfp8", .mxfp8),
      ("nvfp4", .nvfp4), ("nf4", .nf4),
    ] + ggmlTypes.map { ($0.name.lowercased(), .ggml($0)) }

  private static let ggmlTypes: [GGMLType] = [
    .q8_0, .q4_0, .q2_K, .q3_K, .q4_K, .q5_K, .q6_K, .iq4_NL, .iq4_XS, .q4_1, .q5_0, .q5_1, .tq1_0, .tq2_0,
  ]

  /// The types with a group size N, by the name around it.
  private static let grouped: [(prefix: String, suffix: String, make: @Sendable (Int) -> WeightType)] = [
    ("int8-g", "", { .int8Group($0) }), ("int4-g", "", { .int4Group($0, isSymmetric: true) }),
    ("int4-g", "-asym", { .int4Group($0, isSymmetric: false) }),
  ]

  /// Group sizes that are sensible: powers of two that formats and kernels know.
  public static let groupSizes = [16, 32, 64, 128, 256, 512]

  /// All names, N for a group size.
  public static let allNames = named.map(\.name) + grouped.map { "\($0.prefix)N\($0.suffix)" }

  /// All names for a message.
  static let names = allNames.joined(separator: ", ")

  /// - Throws: `.invalidArgument`, with all names, for one that is none of them.
  public init(parsing text: String) throws(MoEError) {
    let text = text.lowercased()
    for (name, type) in Self.named where name == text {
      self = type
      return
    }
    for (prefix, suffix, make) in Self.grouped where text.hasPrefix(prefix) && text.hasSuffix(suffix) {
      guard let size = Int(text.dropFirst(prefix.count).dropLast(suffix.count)) else { continue }
      guard Self.groupSizes.contains(size) else {
        throw MoEError(
          .invalidArgument, "a group size that no format has", subject: text,
          expected: Self.groupSizes.map(String.init).joined(separator: ", "), found: "\(size)")
      }
      self = make(size)
      return
    }
    throw MoEError(.invalidArgument, "unknown type of weights", subject: text, expected: "one of \(Self.names)")
  }
}

extension WeightType: CustomStringConvertible {
  /// The name that `init(parsing:)` reads.
  public var description: String {
    switch self {
    case .int8Group(let size): "int8-g\(size)"
    case .int4Group(let size, let isSymmetric): "int4-g\(size)" + (isSymmetric ? "" : "-asym")
    default: Self.named.first { $0.type == self }?.name ?? "\(ggmlType!)".lowercased()
    }
  }
}

extension WeightType {
  /// The files that weights of this type are written to.
  public enum Container: Sendable, Hashable {
    case safetensors
    case gguf
  }

  public var container: Container { ggmlType == nil ? .safetensors : .gguf }

  /// The block type; nil for those of safetensors.
  public var ggmlType: GGMLType? { if case .ggml(let type) = self { type } else { nil } }

  /// The element type of weights that are not quantised.
  public var elementType: ElementType? {
    switch self {
    case .f32: .f32
    case .f16: .f16
    case .bf16: .bf16
    default: nil
    }
  }

  /// How a projection is stored.
  public var scheme: any QuantizationScheme {
    switch self {
    case .f32: Unquantized(.f32)
    case .f16: Unquantized(.f16)
    case .bf16: Unquantized(.bf16)
    case .fp8Tensor: FP8(.tensor)
    case .fp8Channel: FP8(.channel)
    case .fp8Block: FP8(.block(rows: 128, columns: 128))
    case .int8Channel: ChannelIntegers(.channel)
    case .int8Group(let size): PackedIntegers(bits: 8, .group(size))
    case .int4Group(let size, let isSymmetric): PackedIntegers(bits: 4, .group(size), isSymmetric: isSymmetric)
    case .mxfp4: MXFP4()
    case .mxfp8: MXFP8()
    case .nvfp4: NVFP4(isInverse: true)
    case .nf4: BitsAndBytes4()
    case .ggml(let type): GGMLBlocks(type)
    }
  }

  /// Bits of a weight with its share of the scales of groups and blocks; those of rows and of the whole are left out.
  public var bitsPerWeight: Double {
    switch self {
    case .f32: 32
    case .f16, .bf16: 16
    case .fp8Tensor, .fp8Channel, .int8Channel: 8
    case .fp8Block: 8 + 32 / (128 * 128)
    case .int8Group(let size): 8 + 16 / Double(size)
    case .int4Group(let size, let isSymmetric): 4 + (isSymmetric ? 16 : 20) / Double(size)
    case .mxfp4: 4 + 8 / 32
    case .mxfp8: 8 + 8 / 32
    case .nvfp4: 4 + 8 / 16
    case .nf4: 4 + 32 / 64
    case .ggml(let type): type.bitsPerElement
    }
  }
}
