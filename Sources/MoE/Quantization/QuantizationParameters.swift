// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// What a scheme makes of weights, apart from where the bytes lie.
public struct QuantizationParameters: Sendable, Hashable {
  /// How a zero point is stored.
  public enum ZeroPoint: Sendable, Hashable {
    /// None: codes are signed, or stand around the middle of their range.
    case none
    /// As it is.
    case stored
    /// Less by one, so that 0 cannot be stored (GPTQ v1).
    case storedMinusOne
    /// Above by half the range, as the codes are (compressed-tensors).
    case storedAroundMiddle
  }

  public var form: WeightForm
  public var granularity: Granularity
  /// Bits of a code.
  public var bits: Int
  public var zeroPoint: ZeroPoint
  /// Whether a group index may give columns their groups (act-order).
  public var hasGroupIndex: Bool
  /// What the checkpoint declares for the input of the product.
  public var activations: ActivationScheme

  public init(
    _ form: WeightForm, _ granularity: Granularity, bits: Int, zeroPoint: ZeroPoint = .none,
    hasGroupIndex: Bool = false, activations: ActivationScheme = .unquantized
  ) {
    self.form = form
    self.granularity = granularity
    self.bits = bits
    self.zeroPoint = zeroPoint
    self.hasGroupIndex = hasGroupIndex
    self.activations = activations
  }

  public var isSymmetric: Bool { zeroPoint == .none }

  /// Codes with scales of this type; nil where the granularity has no groups along a row of so many columns.
  func codedForm(columns: Int, scale: CodedForm.Number) -> CodedForm? {
    let group: Int?
    switch granularity {
    case .tensor, .channel: group = nil
    case .group(let size), .block(_, let size): group = size < columns ? size : nil
    case .flat(let size):
      guard columns % size == 0 else { return nil }
      group = size
    }
    guard group.map({ $0 % 8 == 0 }) ?? true else { return nil }
    let rowGroup = if case .block(let height, _) = granularity { height } else { 1 }
    return CodedForm(
      bits: bits, group: group, scale: scale, correction: correction, isIntegral: code != nil, code: code,
      rowGroup: rowGroup)
  }

  /// Of floats of 8 bits there are several kinds.
  private var code: CodedForm.Code? {
    switch form {
    case .int8, .int4Affine: .integer
    case .fp4E8M0, .fp4E4M3: .e2m1
    case .dense16, .fp8, .codebook4, .ggmlBlock: nil
    }
  }

  /// Zero points of codes around the middle are signed; those of 8 bits less one reach 256.
  private var correction: CodedForm.Correction {
    switch zeroPoint {
    case .none: .none
    case .stored, .storedMinusOne: .zero(bits < 8 ? .u8 : .f16)
    case .storedAroundMiddle: .zero(.i8)
    }
  }
}
