// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import MoE

/// Damages bytes in one to four places.
struct Mutator {
  var generator: SplitMix64
  /// Numbers are written as text, or as 4 or 8 bytes.
  private let isText: Bool

  init(seed: UInt64, isText: Bool) {
    generator = SplitMix64(seed: seed)
    self.isText = isText
  }

  mutating func mutated(_ original: [UInt8]) -> [UInt8] {
    var bytes = original
    for _ in 0..<[0, 1, 1, 1, 2, 3, 4].randomElement(using: &generator)! { mutate(&bytes) }
    return bytes
  }

  private mutating func mutate(_ bytes: inout [UInt8]) {
    guard !bytes.isEmpty else { return bytes.append(UInt8(truncatingIfNeeded: generator.next())) }
    // The header is short, and the data need not be: most damage should hit the header.
    let reach = isText || Int.random(in: 0..<4, using: &generator) == 0 ? bytes.count : min(bytes.count, 400)
    let position = Int.random(in: 0..<reach, using: &generator)
    switch Int.random(in: 0..<10, using: &generator) {
    case 0: bytes[position] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
    case 1: bytes[position] = UInt8(truncatingIfNeeded: generator.next())
    case 2: bytes.removeSubrange(position...)  // truncation
    case 3: bytes.remove(at: position)
    case 4: bytes.insert(contentsOf: Self.pieces.randomElement(using: &generator)!, at: position)
    case 5:  // splice: a piece of it to another place
      let length = Int.random(in: 0...min(64, bytes.count - position), using: &generator)
      let piece = Array(bytes[position..<position + length])
      bytes.insert(contentsOf: piece, at: Int.random(in: 0...bytes.count, using: &generator))
    case 6: bytes.swapAt(position, Int.random(in: bytes.indices, using: &generator))
    default: isText ? editNumber(&bytes, from: position) : putNumber(&bytes, at: position)
    }
  }

  /// A number at the border of something.
  private mutating func number() -> UInt64 {
    let borders: [UInt64] = [
      0, 1, 2, 3, 4, 7, 8, 9, 12, 16, 31, 32, 33, 64, 255, 256, 65535, 65536, 100_000_000, 1 << 28, 1 << 31, 1 << 32,
      1 << 53, 1 << 60, 1 << 61, 1 << 62, 1 << 63 - 1, 1 << 63, .max, .max - 31,
    ]
    return Bool.random(using: &generator)
      ? borders.randomElement(using: &generator)! : UInt64.random(in: 0...400, using: &generator)
  }

  /// Puts another number in the place of the next one.
  private mutating func editNumber(_ bytes: inout [UInt8], from position: Int) {
    let isDigit = { (byte: UInt8) in (0x30...0x39).contains(byte) }
    guard let start = bytes[position...].firstIndex(where: isDigit) else { return }
    let end = bytes[start...].firstIndex { !isDigit($0) } ?? bytes.endIndex
    let text = "\(number())"
    let forms = [text, text, text, text, "-" + text, text + ".5", text + "e2", "1e999"]
    bytes.replaceSubrange(start..<end, with: Array(forms.randomElement(using: &generator)!.utf8))
  }

  /// Puts 4 or 8 bytes in the place of what is there.
  private mutating func putNumber(_ bytes: inout [UInt8], at position: Int) {
    let (number, width) = (number(), Bool.random(using: &generator) ? 4 : 8)
    let end = min(bytes.count, position + width)
    bytes.replaceSubrange(
      position..<end, with: (0..<end - position).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) })
  }

  /// Pieces that parsers trip over.
  private static let pieces: [[UInt8]] =
    [
      "\"", "\\", "\\u", "\\ud800", "\\u0000", "{", "}", "[", "]", ",", ":", "null", "true", "NaN", "1e999", "-0",
      "0.0", "..", "../", "/", "\0", "\n", "\"__metadata__\":{},", "\"dtype\":\"F4\",", "\"shape\":[],",
      "\"data_offsets\":[0,0],", "\"a\":", "{}", " ", String(repeating: "[", count: 70), "\u{FEFF}",
    ].map { Array($0.utf8) } + [[0xFF], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80]]
}
