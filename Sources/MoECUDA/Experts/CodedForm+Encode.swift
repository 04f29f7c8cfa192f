// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import MoE
internal import Tensors

extension CodedForm.Number {
  /// Numbers as they are stored.
  ///
  /// - Returns: nil when one of them isn't a number of this type.
  func encoded(_ values: [Float]) -> [UInt8]? {
    switch self {
    case .f32: return ElementType.f32.encode(values)
    case .f16: return exact(values, ElementType.f16)
    case .bf16: return exact(values, ElementType.bf16)
    case .e8m0: return exact(values, { E8M0.encode($0) }, { E8M0.decode($0) })
    case .e4m3: return exact(values, { MiniFloat.e4m3fn.encode($0) }, { MiniFloat.e4m3fn.decode($0) })
    case .u8: return exact(values, { UInt8(exactly: $0) ?? 0 }, { Float($0) })
    case .i8:
      return exact(
        values, { UInt8(bitPattern: Int8(exactly: $0) ?? 0) }, { Float(Int8(bitPattern: $0)) })
    }
  }

  private func exact(_ values: [Float], _ encode: (Float) -> UInt8, _ decode: (UInt8) -> Float) -> [UInt8]? {
    let codes = values.map(encode)
    return zip(codes, values).allSatisfy { decode($0) == $1 } ? codes : nil
  }

  private func exact(_ values: [Float], _ type: ElementType) -> [UInt8]? {
    let bytes = type.encode(values)
    return unsafe bytes.withUnsafeBytes { source in
      values.indices.allSatisfy { index in
        let bits = unsafe source.loadUnaligned(fromByteOffset: 2 * index, as: UInt16.self)
        let value = type == .f16 ? Float(Float16(bitPattern: bits)) : Float(bitPattern: UInt32(bits) << 16)
        return value == values[index]
      }
    } ? bytes : nil
  }
}
