// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// The type of a tensor in a GGUF file; the raw value is its id there.
///
/// Most are block types: a row is cut into blocks of `blockElements` elements, and each block is `blockBytes` bytes of
/// codes and their scales. The formats are those of ggml (https://github.com/ggml-org/ggml, MIT licence).
///
/// ```swift
/// GGMLType.q4_K.byteCount(ofRow: 4096)     // 2304: 16 blocks of 144 bytes
/// let weights = GGMLType.q4_K.decode(bytes)
/// ```
public enum GGMLType: UInt32, Sendable, Hashable, CaseIterable {
  case f32 = 0
  case f16 = 1
  case q4_0 = 2
  case q4_1 = 3
  case q5_0 = 6
  case q5_1 = 7
  case q8_0 = 8
  case q2_K = 10
  case q3_K = 11
  case q4_K = 12
  case q5_K = 13
  case q6_K = 14
  case iq2_XXS = 16
  case iq2_XS = 17
  case iq3_XXS = 18
  case iq1_S = 19
  case iq4_NL = 20
  case iq3_S = 21
  case iq2_S = 22
  case iq4_XS = 23
  case i8 = 24
  case i16 = 25
  case i32 = 26
  case i64 = 27
  case f64 = 28
  case iq1_M = 29
  case bf16 = 30
  case tq1_0 = 34
  case tq2_0 = 35
  case mxfp4 = 39
  case nvfp4 = 40

  /// Elements of one block; 1 for plain elements.
  public var blockElements: Int { format?.elements ?? 1 }

  /// Bytes of one block.
  public var blockBytes: Int { format?.bytes ?? elementType!.bitWidth / 8 }

  /// The name in the field, e.g. `Q4_K`.
  public var name: String { format?.name ?? elementType!.rawValue }

  /// Bits per weight, scales included.
  public var bitsPerElement: Double { Double(8 * blockBytes) / Double(blockElements) }

  /// The same type in other containers; nil for block types.
  public var elementType: ElementType? {
    switch self {
    case .f32: .f32
    case .f16: .f16
    case .bf16: .bf16
    case .f64: .f64
    case .i8: .i8
    case .i16: .i16
    case .i32: .i32
    case .i64: .i64
    default: nil
    }
  }

  /// The same type as in other containers; nil where GGUF has none.
  public init?(_ elementType: ElementType) {
    guard let type = Self.allCases.first(where: { $0.elementType == elementType }) else { return nil }
    self = type
  }

  /// How the blocks are laid out; nil for plain elements.
  var format: (any BlockFormat.Type)? {
    switch self {
    case .f32, .f16, .bf16, .f64, .i8, .i16, .i32, .i64: nil
    case .q4_0: Q4_0.self
    case .q4_1: Q4_1.self
    case .q5_0: Q5_0.self
    case .q5_1: Q5_1.self
    case .q8_0: Q8_0.self
    case .q2_K: Q2_K.self
    case .q3_K: Q3_K.self
    case .q4_K: Q4_K.self
    case .q5_K: Q5_K.self
    case .q6_K: Q6_K.self
    case .iq1_S: IQ1_S.self
    case .iq1_M: IQ1_M.self
    case .iq2_XXS: IQ2_XXS.self
    case .iq2_XS: IQ2_XS.self
    case .iq2_S: IQ2_S.self
    case .iq3_XXS: IQ3_XXS.self
    case .iq3_S: IQ3_S.self
    case .iq4_NL: IQ4_NL.self
    case .iq4_XS: IQ4_XS.self
    case .tq1_0: TQ1_0.self
    case .tq2_0: TQ2_0.self
    case .mxfp4: MXFP4.self
    case .nvfp4: NVFP4.self
    }
  }
}

extension GGMLType: CustomStringConvertible {
  public var description: String { name }
}
