// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import MoE
import Tensors

extension Damage {
  /// Codes, scales, zero points, indices.
  static let numbers: [Damage] = [
    Damage("weight code NaN", .values) { specimen in
      let piece = specimen.piece(.weight)!
      let codes: [ElementType: [UInt8]] = [
        .bf16: [0xC0, 0x7F], .f16: [0, 0x7E], .f32: [0, 0, 0xC0, 0x7F], .f8e4m3: [0x7F],
      ]
      guard let code = codes[piece.tensor.elementType] else { return false }
      specimen.edit(piece) { $0.replaceSubrange(5 * code.count..<6 * code.count, with: code) }
      return true
    },
    Damage("weight infinite", .values) { specimen in
      let piece = specimen.piece(.weight)!
      let codes: [ElementType: [UInt8]] = [.bf16: [0x80, 0x7F], .f16: [0, 0x7C], .f32: [0, 0, 0x80, 0x7F]]
      guard let code = codes[piece.tensor.elementType] else { return false }
      specimen.edit(piece) { $0.replaceSubrange(5 * code.count..<6 * code.count, with: code) }
      return true
    },
    Damage("scale NaN", .values) { scales(of: &$0, at: 0) { _ in .nan } },
    Damage("scale infinite", .values) { specimen in
      guard specimen.piece(.scale)?.tensor.elementType != .f8e4m3 else { return false }
      return scales(of: &specimen, at: 0) { _ in .infinity }
    },
    Damage("scale negative", .values) { scales(of: &$0, at: 0) { -$0 } },
    Damage("scale 0 over weights that are not", .values) { scales(of: &$0, at: 0) { _ in 0 } },
    Damage("scale E8M0 255", .values) { specimen in
      guard let piece = specimen.piece(.scale), [.f8e8m0, .u8].contains(piece.tensor.elementType),
        specimen.piece(.nestedScale) == nil
      else { return false }
      specimen.edit(piece) { $0[0] = 255 }
      return true
    },
    Damage("scale NaN in a block of GGUF", .values, gguf: true) { specimen in
      guard let place = ggufScale(specimen) else { return false }
      specimen.edit(specimen.piece(.weight)!) {
        $0.replaceSubrange(place.offset..<place.offset + place.nan.count, with: place.nan)
      }
      return true
    },
    Damage(
      "scale negative in a block of GGUF", .never, reason: "ggml's formats give a negative scale a meaning", gguf: true
    ) { specimen in
      guard let place = ggufScale(specimen), place.nan.count == 2 else { return false }
      specimen.edit(specimen.piece(.weight)!) { $0[place.offset + 1] ^= 0x80 }
      return true
    },
    Damage("scale × 2", .never, reason: "every number is a number that a quantiser may write") {
      scales(of: &$0, at: nil) { 2 * $0 }
    },
    Damage("global scale NaN", .values) { specimen in
      specimen.piece(.globalScale) == nil ? false : scales(.globalScale, of: &specimen, at: 0) { _ in .nan }
    },
    Damage("input scale 0", .values) { specimen in
      specimen.piece(.inputScale) == nil ? false : scales(.inputScale, of: &specimen, at: 0) { _ in 0 }
    },
    Damage("scale of scales NaN", .values) { specimen in
      specimen.piece(.nestedScale) == nil ? false : scales(.nestedScale, of: &specimen, at: 0) { _ in .nan }
    },
    Damage("zero point beyond the codes", .values) { specimen in
      // Only version 1 of GPTQ can store one: 15 stands for 16.
      guard specimen.matrix(1, .up).scheme.parameters.zeroPoint == .storedMinusOne else { return false }
      specimen.edit(specimen.piece(.zeroPoint)!) { $0[0] = 0xFF }
      return true
    },
    Damage("zero point off by one", .never, reason: "every code of a zero point is legal") { specimen in
      guard let piece = specimen.piece(.zeroPoint) else { return false }
      specimen.edit(piece) { $0[0] ^= 1 }
      return true
    },
    Damage("group index out of range", .values) { specimen in
      guard let piece = specimen.piece(.groupIndex) else { return false }
      specimen.edit(piece) { $0[2] = 1 }
      return true
    },
    Damage("bias NaN", .values) { specimen in
      specimen.piece(.bias) == nil ? false : scales(.bias, of: &specimen, at: 0) { _ in .nan }
    },
    Damage("gate NaN", .values, gguf: true) { router(&$0) { $0.weight } },
    Damage("correction bias NaN", .values, gguf: true) { router(&$0) { $0.correctionBias } },
  ]

  /// Where the scale of the first block of expert 1 stands, and what makes it no number.
  private static func ggufScale(_ specimen: Specimen) -> (offset: Int, nan: [UInt8])? {
    let half: [UInt8] = [0, 0x7E]
    switch specimen.piece(.weight)!.tensor.ggmlType {
    case .q8_0, .q4_0, .q4_K, .q5_K, .iq4_XS: return (0, half)
    case .q6_K: return (208, half)
    case .mxfp4: return (0, [255])
    default: return nil
    }
  }

  /// Changes scales of expert 1, one or all.
  static func scales(
    _ role: TensorRole = .scale, of specimen: inout Specimen, at index: Int?, _ change: (Float) -> Float
  ) -> Bool {
    guard let piece = specimen.piece(role), [.f32, .f16, .bf16, .f8e4m3].contains(piece.tensor.elementType) else {
      return false
    }
    specimen.edit(piece) { bytes in
      var values = piece.tensor.elementType.decode(bytes)
      for place in index.map({ [$0] }) ?? Array(values.indices) { values[place] = change(values[place]) }
      bytes = piece.tensor.elementType.encode(values)
    }
    return true
  }

  private static func router(
    _ specimen: inout Specimen, _ tensor: (MoEModel.GateSource) -> TensorRecord?
  ) -> Bool {
    guard let tensor = tensor(specimen.layer.gate) else { return false }
    let nan = tensor.elementType.encode([.nan])
    specimen.replace(tensor, nan, at: 3 * nan.count)
    return true
  }
}
