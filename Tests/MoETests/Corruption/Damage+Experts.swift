// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import MoE
import Tensors

extension Damage {
  /// Whole experts.
  static let experts: [Damage] = [
    Damage("expert all 0", .values, gguf: true) { specimen in
      let parameters = specimen.matrix(1, .up).scheme.parameters
      let filler: UInt8
      switch (parameters.form, parameters.zeroPoint, parameters.bits) {
      case (.dense16, _, _), (.fp8, _, 8), (.fp4E8M0, _, _), (.fp4E4M3, _, _), (.ggmlBlock, _, _): filler = 0
      case (.int8, .none, 8) where specimen.piece(.weight)!.tensor.elementType == .i8: filler = 0
      case (.int4Affine, .none, 4): filler = 0x88
      case (.codebook4, _, _): filler = 0x77
      default: return false
      }
      for matrix in specimen.experts.experts[1] {
        specimen.edit(matrix[.weight]!) { $0 = [UInt8](repeating: filler, count: $0.count) }
      }
      return true
    },
    Damage("expert of one number", .values) { specimen in
      let type = specimen.piece(.weight)!.tensor.elementType
      let isWhole = specimen.matrix(1, .up).scheme.parameters.granularity == .tensor
      guard type.isEncodable, isWhole else { return false }
      for matrix in specimen.experts.experts[1] {
        specimen.edit(matrix[.weight]!) { bytes in
          bytes = type.encode([Float](repeating: 0.25, count: bytes.count * 8 / type.bitWidth))
        }
      }
      return true
    },
    Damage("expert copied over another", .values, gguf: true) { specimen in
      for (from, to) in zip(specimen.experts.experts[0], specimen.experts.experts[1]) {
        for piece in from.pieces {
          if specimen.isPerExpert {
            // Texts in tensors may be of any length.
            specimen.fixture.tensors[to[piece.role]!.tensor.name] = specimen.fixture.tensors[piece.tensor.name]
            continue
          }
          let bytes = specimen.bytes(piece)
          specimen.edit(to[piece.role]!) { $0 = bytes }
        }
      }
      return true
    },
    Damage("expert × 2¹⁰", .values) { specimen in
      let role = [TensorRole.globalScale, .nestedScale, .scale, .weight].first { specimen.piece($0) != nil }!
      if let piece = specimen.piece(role), [.u8, .f8e8m0].contains(piece.tensor.elementType) {
        specimen.edit(piece) { bytes in for index in bytes.indices { bytes[index] &+= 10 } }
        return !specimen.isGGUF
      }
      return scales(role, of: &specimen, at: nil) { 0x1p10 * $0 }
    },
    Damage("gate and up exchanged", .never, reason: "both have one shape and like values", gguf: true) { specimen in
      let (gate, up) = (specimen.matrix(1, .gate), specimen.matrix(1, .up))
      guard gate.stem != up.stem, gate[.weight]!.byteCount == up[.weight]!.byteCount else { return false }
      exchange(gate, up, of: &specimen)
      return true
    },
    Damage("two experts exchanged", .never, reason: "experts have no mark but their number", gguf: true) { specimen in
      for (first, second) in zip(specimen.experts.experts[0], specimen.experts.experts[1]) {
        exchange(first, second, of: &specimen)
      }
      return true
    },
    Damage(
      "one weight changed", .never, reason: "every number is one that training may give", gguf: true
    ) { specimen in
      specimen.edit(specimen.piece(.weight)!) { $0[$0.count - 1] ^= 0x10 }
      return true
    },
  ]

  private static func exchange(_ first: MatrixSource, _ second: MatrixSource, of specimen: inout Specimen) {
    for piece in first.pieces {
      guard let other = second[piece.role], other.byteCount == piece.byteCount else { continue }
      let (bytes, others) = (specimen.bytes(piece), specimen.bytes(other))
      specimen.edit(piece) { $0 = others }
      specimen.edit(other) { $0 = bytes }
    }
  }
}
