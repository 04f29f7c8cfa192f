// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Tensors

/// The MXFP4 of gpt-oss: all experts in `…_blocks` `[experts, out, in/32, 16]` and `…_scales` `[experts, out, in/32]`.
///
/// The fused gate and up rows alternate, and *out* comes before *in*, while the bf16 form of the same model has *in*
/// first. Of a byte, the low nibble is the even column.
public struct GPTOSSMXFP4: QuantizationScheme {
  public static let formatName = "mxfp4 blocks"
  public static let methods = ["mxfp4"]

  public init() {}

  public static func recognize(_ found: ProjectionTensors, _ settings: ModuleSettings) throws(MoEError) -> Self? {
    found["_blocks"] != nil && found["_scales"] != nil ? Self() : nil
  }

  public var name: String { "mxfp4 blocks" }

  public var tensors: [QuantizedTensor] {
    [
      QuantizedTensor(.weight, ["_blocks"], [.u8], [.rows, .columns(per: 32), .fixed(16)]),
      QuantizedTensor(.scale, ["_scales"], [.u8, .f8e8m0], [.rows, .columns(per: 32)]),
    ]
  }

  public var parameters: QuantizationParameters { QuantizationParameters(.fp4E8M0, .group(32), bits: 4) }

  public func makeDecoder(_ stored: StoredProjection) throws(MoEError) -> any TileDecoder {
    try MXFP4().makeDecoder(stored)
  }

  public func makeEncoding(_ weights: WeightMatrix) throws(MoEError) -> [TensorRole: [UInt8]] {
    try MXFP4().makeEncoding(weights)
  }
}
