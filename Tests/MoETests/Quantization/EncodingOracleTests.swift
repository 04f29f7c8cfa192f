// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import MoE
import Testing

/// Experts that other libraries have quantised, decoded and encoded again: the values stay.
@Suite struct EncodingOracleTests {
  @Test(arguments: QuantizedCase.folders.filter { !$0.contains("/gguf_") }) func valuesStay(folder: String) throws {
    let quantizedCase = try QuantizedCase(folder)
    var stems = quantizedCase.stems(expert: 0).map { ($0, nil as Int?) }
    if stems.isEmpty {
      stems = ["gate_up_proj", "down_proj"].map { ("model.layers.0.mlp.experts.\($0)", 0) }
    }
    #expect(!stems.isEmpty)
    for (stem, expert) in stems.prefix(3) {
      let (read, stored) = try quantizedCase.projection(stem, expert: expert)
      let decoded = try read.decoder(of: stored).decode()
      guard let scheme = Self.writable(read) else { continue }
      // A column order of its own, and doubly quantised scales, can't be told from the values.
      if stored.tensors[.groupIndex]?.bytes.isEmpty == false { continue }
      let encoded = try scheme.encode(decoded, rows: stored.rows, columns: stored.columns)
      let again = try scheme.decoder(of: encoded).decode()
      let differing = zip(again, decoded).count { $0 != $1 }
      #expect(differing == 0, "\(stem), \(read.name): \(differing) of \(decoded.count)")
    }
  }

  /// The scheme without what is not a matter of the weights; nil where it is only read.
  private static func writable(_ scheme: any QuantizationScheme) -> (any QuantizationScheme)? {
    switch scheme {
    case var fp8 as FP8:
      fp8.activations = .unquantized
      return fp8
    case var integers as ChannelIntegers:
      integers.activations = .unquantized
      return integers
    case var nibbles as NVFP4:
      nibbles.activations = .unquantized
      return nibbles
    case var nibbles as MXFP4:
      nibbles.activations = .unquantized
      return nibbles
    case let nibbles as BitsAndBytes4: return nibbles.nestedBlockSize == nil ? nibbles : nil
    default: return scheme
    }
  }
}
