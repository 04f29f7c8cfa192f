// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Tensors
import Testing

@Suite struct ElementTypeTests {
  @Test(
    arguments: [
      (ElementType.f32, 3, 12), (.f4, 4, 2), (.f4, 3, nil), (.f6e2m3, 4, 3), (.f6e3m2, 2, nil), (.bool, 5, 5),
      (.c64, 2, 16),
      (.f64, Int.max / 8, nil), (.u8, -1, nil), (.u8, 0, 0),
    ] as [(ElementType, Int, Int?)])
  func byteCounts(type: ElementType, count: Int, bytes: Int?) {
    #expect(type.byteCount(of: count) == bytes)
  }

  @Test(
    arguments: [
      (ElementType.f64, [0, 0, 0, 0, 0, 0, 0xF8, 0x3F], Float(1.5)), (.f32, [0, 0, 0xC0, 0x3F], 1.5),
      (.f16, [0, 0x3E], 1.5), (.bf16, [0xC0, 0x3F], 1.5), (.f8e4m3, [0x3C], 1.5), (.f8e5m2, [0x3E], 1.5),
      (.f8e4m3fnuz, [0x44], 1.5), (.f8e5m2fnuz, [0x42], 1.5), (.f8e8m0, [130], 8),
      (.i64, [0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], -2), (.u64, [2, 1, 0, 0, 0, 0, 0, 0], 258),
      (.i32, [0xFE, 0xFF, 0xFF, 0xFF], -2), (.u32, [2, 1, 0, 0], 258), (.i16, [0xFE, 0xFF], -2), (.u16, [2, 1], 258),
      (.i8, [0xFE], -2), (.u8, [0xFE], 254), (.bool, [1], 1),
    ] as [(ElementType, [UInt8], Float)])
  func decodesOneElement(type: ElementType, bytes: [UInt8], value: Float) {
    #expect(type.isDecodable)
    #expect(type.decode(bytes) == [value])
    #expect(type.decode([]) == [])
    if type.isEncodable { #expect(type.encode([value]) == bytes) }
  }

  @Test func allTypesAreCovered() {
    #expect(ElementType.allCases.filter { !$0.isDecodable } == [.f6e2m3, .f6e3m2, .f4, .c64])
  }

  @Test(arguments: ElementType.allCases.filter(\.isEncodable))
  func encodesWhatItDecodes(type: ElementType) {
    let values: [Float] = [1, 0.5, 2, 4, 16, 0.25]
    #expect(type.decode(type.encode(values)) == values)
  }

  @Test func everyFloat16CodeComesBack() {
    let bytes = (UInt16.min...UInt16.max).flatMap { [UInt8(truncatingIfNeeded: $0), UInt8($0 >> 8)] }
    let values = ElementType.f16.decode(bytes)
    let back = ElementType.f16.encode(values)
    for (code, value) in values.enumerated() where !value.isNaN {
      #expect(back[2 * code] == bytes[2 * code] && back[2 * code + 1] == bytes[2 * code + 1])
    }
    #expect(ElementType.f16.encode([65520, 2049]) == [0x00, 0x7C, 0x00, 0x68])  // infinity; the tie 2048 | 2050
  }

  /// From an odd address, every third element.
  @Test(arguments: [ElementType.f32, .bf16, .f16, .f64, .f8e4m3])
  func stridedAndUnaligned(type: ElementType) {
    let values = (0..<30).map { Float($0) / 2 }
    let bytes = [0xAA] + type.encode(values)
    var decoded = [Float](repeating: -1, count: 10)
    unsafe bytes.withUnsafeBytes { source in
      unsafe decoded.withUnsafeMutableBufferPointer { destination in
        unsafe type.decode(source.baseAddress! + 1, count: 10, stride: 3, into: destination.baseAddress!)
      }
    }
    #expect(decoded == stride(from: 0, to: 30, by: 3).map { type.decode(type.encode([values[$0]]))[0] })
  }

  @Test func integers() {
    #expect(ElementType.i64.decodeIntegers([0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F]) == [.max])
    #expect(ElementType.u64.decodeIntegers([0, 0, 0, 0, 0, 0, 0, 0x80]) == nil)
    #expect(ElementType.i16.decodeIntegers([1, 0, 0xFF, 0xFF]) == [1, -1])
    #expect(ElementType.bool.decodeIntegers([0, 1, 7]) == [0, 1, 1])
    #expect(ElementType.f32.decodeIntegers([0, 0, 0, 0]) == nil)
  }
}
