// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// A block type of ggml that can be written.
protocol EncodableBlockFormat: BlockFormat {
  /// Encodes one block: reads `elements` floats, writes all of its bytes.
  static func encode(_ values: BlockValues, _ block: BlockTarget)

  /// Encodes blocks that lie end to end. A requirement, so that each format has a loop with its encoder inlined.
  static func encode(_ source: UnsafePointer<Float>, blocks: Int, into destination: UnsafeMutableRawPointer)
}

extension EncodableBlockFormat {
  @inline(__always)
  static func encode(_ source: UnsafePointer<Float>, blocks: Int, into destination: UnsafeMutableRawPointer) {
    for block in 0..<blocks {
      encode(unsafe BlockValues(source + block * elements), unsafe BlockTarget(destination + block * bytes))
    }
  }
}

/// The floats of one block. Encoders reach memory only through this type and `BlockTarget`, at constant offsets.
@safe
struct BlockValues {
  private let start: UnsafeRawPointer

  @inline(__always)
  init(_ start: UnsafePointer<Float>) { unsafe self.start = UnsafeRawPointer(start) }

  /// 32 elements from `index` on.
  @inline(__always)
  func vector(_ index: Int) -> Vector32 {
    Vector32(eight(index), eight(index + 8), eight(index + 16), eight(index + 24))
  }

  /// 16 elements from `index` on, twice: sums are twice theirs, extremes and least squares are theirs.
  @inline(__always)
  func twice(_ index: Int) -> Vector32 {
    let (first, second) = (eight(index), eight(index + 8))
    return Vector32(first, second, first, second)
  }

  @inline(__always)
  private func eight(_ index: Int) -> SIMD8<Float> {
    unsafe start.loadUnaligned(fromByteOffset: 4 * index, as: SIMD8<Float>.self)
  }
}

/// The bytes that one block becomes.
@safe
struct BlockTarget {
  private let start: UnsafeMutableRawPointer

  @inline(__always)
  init(_ start: UnsafeMutableRawPointer) { unsafe self.start = start }

  @inline(__always)
  subscript(offset: Int) -> UInt8 {
    get { unsafe start.load(fromByteOffset: offset, as: UInt8.self) }
    nonmutating set { unsafe start.storeBytes(of: newValue, toByteOffset: offset, as: UInt8.self) }
  }

  @inline(__always)
  func setWord(_ offset: Int, _ word: UInt16) {
    unsafe start.storeBytes(of: word.littleEndian, toByteOffset: offset, as: UInt16.self)
  }

  /// A 16-bit float.
  @inline(__always)
  func setHalf(_ offset: Int, _ value: Float) { setWord(offset, Float16(value).bitPattern) }

  @inline(__always)
  func set(_ offset: Int, _ bytes: SIMD16<UInt8>) {
    unsafe start.storeBytes(of: bytes, toByteOffset: offset, as: SIMD16<UInt8>.self)
  }

  @inline(__always)
  func set(_ offset: Int, _ bytes: SIMD32<UInt8>) {
    unsafe start.storeBytes(of: bytes, toByteOffset: offset, as: SIMD32<UInt8>.self)
  }

  /// 32 codes in halves, as all 4-bit types of ggml lay them: the first 16 are the low nibbles.
  @inline(__always)
  func setNibbles(_ offset: Int, _ codes: SIMD32<UInt8>) {
    set(offset, codes.lowHalf & 15 | (codes.highHalf & 15) &<< 4)
  }

  /// One bit of 32 codes, the first in the lowest place of the first byte.
  @inline(__always)
  func setBits(_ offset: Int, of codes: SIMD32<UInt8>, bit: UInt8) {
    for byte in 0..<4 {
      var bits: UInt8 = 0
      for place in 0..<8 { bits |= (codes[8 * byte + place] >> bit & 1) << UInt8(place) }
      self[offset + byte] = bits
    }
  }
}
