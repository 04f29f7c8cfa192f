// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// A block type of ggml: the size of a block, and how to decode one.
protocol BlockFormat {
  static var name: String { get }
  /// Elements of a block.
  static var elements: Int { get }
  /// Bytes of a block.
  static var bytes: Int { get }

  /// Decodes one block: reads `bytes` bytes, writes `elements` floats.
  static func decode(_ block: BlockBytes, _ values: BlockFloats)

  /// Decodes blocks that lie end to end. A requirement, so that each format has a loop with its decoder inlined.
  static func decode(_ source: UnsafeRawPointer, blocks: Int, into destination: UnsafeMutablePointer<Float>)
}

extension BlockFormat {
  @inline(__always)
  static func decode(_ source: UnsafeRawPointer, blocks: Int, into destination: UnsafeMutablePointer<Float>) {
    for block in 0..<blocks {
      decode(unsafe BlockBytes(source + block * bytes), unsafe BlockFloats(destination + block * elements))
    }
  }
}

/// The bytes of one block. Decoders reach memory only through this type and `BlockFloats`, at constant offsets.
@safe
struct BlockBytes {
  private let start: UnsafeRawPointer

  @inline(__always)
  init(_ start: UnsafeRawPointer) { unsafe self.start = start }

  @inline(__always)
  subscript(offset: Int) -> UInt8 { unsafe start.load(fromByteOffset: offset, as: UInt8.self) }

  @inline(__always)
  func signed(_ offset: Int) -> Int8 { unsafe start.load(fromByteOffset: offset, as: Int8.self) }

  @inline(__always)
  func word(_ offset: Int) -> UInt16 {
    UInt16(littleEndian: unsafe start.loadUnaligned(fromByteOffset: offset, as: UInt16.self))
  }

  @inline(__always)
  func longWord(_ offset: Int) -> UInt32 {
    UInt32(littleEndian: unsafe start.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
  }

  /// A 16-bit float.
  @inline(__always)
  func half(_ offset: Int) -> Float { Float(Float16(bitPattern: word(offset))) }

  /// Nibble `index` of those that begin at `offset`, low before high.
  @inline(__always)
  func nibble(_ offset: Int, _ index: Int) -> UInt8 { self[offset + index / 2] >> UInt8(4 * (index % 2)) & 15 }

  /// 4-bit codes in halves, as all 4-bit types of ggml lay them: the low nibbles of `count` bytes are elements
  /// 0 ..< count, their high nibbles the next `count`.
  @inline(__always)
  func forEachNibble(at offset: Int, count: Int, _ body: (_ element: Int, _ code: UInt8) -> Void) {
    for index in 0..<count { body(index, self[offset + index] & 15) }
    for index in 0..<count { body(index + count, self[offset + index] >> 4) }
  }
}

/// The floats that one block decodes to.
@safe
struct BlockFloats {
  private let start: UnsafeMutablePointer<Float>

  @inline(__always)
  init(_ start: UnsafeMutablePointer<Float>) { unsafe self.start = start }

  @inline(__always)
  subscript(index: Int) -> Float {
    get { unsafe start[index] }
    nonmutating set { unsafe start[index] = newValue }
  }
}
