// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// The few shapes of weights that kernels know. Many formats end in few forms: a format never gets a kernel of its own.
public enum WeightForm: String, Sendable, Hashable, CaseIterable {
  /// bf16, fp16 or fp32, no scales.
  case dense16
  /// 8-bit floats with scales: of a tensor, a row, a block, or e8m0 ones of 32 columns. The 6-bit floats of MX are
  /// among them, because e4m3 holds all their values.
  case fp8
  /// Codes of 5 to 8 bits as signed bytes with scales, and zero points where asymmetric.
  case int8
  /// Codes of 1 to 4 bits as nibbles with scales, and zero points where asymmetric.
  case int4Affine
  /// e2m1 with an e8m0 scale for 32 columns (MXFP4).
  case fp4E8M0
  /// e2m1 with an e4m3 scale for 16 columns and a scale for all (NVFP4).
  case fp4E4M3
  /// 16 values of a table with a scale for a block (nf4).
  case codebook4
  /// Codes of 2 to 8 bits into a table, with scales of 16 to 256 columns below factors of a block: see ``CodedWeights``.
  case ggmlBlock
}

extension WeightForm {
  /// The form of whole numbers of `bits`.
  static func integers(bits: Int) -> Self { bits <= 4 ? .int4Affine : .int8 }
}
