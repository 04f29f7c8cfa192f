// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// Where the code of a weight lies among the bytes.
struct CodeReader: Sendable {
  enum Arrangement: Sendable {
    /// Bit fields from the lowest bit up along each row of `rowBytes` bytes.
    case rows(rowBytes: Int)
    /// Bit fields from the lowest bit up down the columns of a matrix of 32-bit words, one for each row of the weights
    /// (GPTQ).
    case columns(of: Int)
    /// A line of words for each *column* of the matrix, eight nibbles of neighbouring rows in a word, even ones first
    /// (AWQ): row j stands in slot [0, 4, 1, 5, 2, 6, 3, 7][j].
    case interleaved(rowWords: Int)
    /// A byte for each code, `[in, out]`: the matrix turned, of so many rows.
    case turned(rows: Int)
    /// Two nibbles in a byte, the *high* one first, over the matrix laid out flat (bitsandbytes).
    case flatHighFirst(columns: Int)
  }

  let bytes: [UInt8]
  let bits: Int
  let arrangement: Arrangement

  init(_ bytes: [UInt8], bits: Int, _ arrangement: Arrangement) {
    self.bytes = bytes
    self.bits = bits
    self.arrangement = arrangement
  }

  /// The codes of a piece of a row of the logical matrix.
  func read(row: Int, columns: Range<Int>, into codes: inout [UInt8]) {
    switch arrangement {
    case .rows(let rowBytes):
      switch bits {
      case 8:
        let first = row * rowBytes + columns.lowerBound
        codes.replaceSubrange(0..<columns.count, with: bytes[first..<first + columns.count])
      case 4:
        let row = bytes[row * rowBytes..<(row + 1) * rowBytes]
        unsafe row.withUnsafeBufferPointer { row in
          unsafe codes.withUnsafeMutableBufferPointer { codes in
            for (index, column) in columns.enumerated() {
              unsafe codes[index] = row[column / 2] >> UInt8(4 * (column % 2)) & 15
            }
          }
        }
      default:
        for (index, column) in columns.enumerated() {
          let position = column * bits
          codes[index] = field(at: row * rowBytes + position / 8, shift: position % 8)
        }
      }
    case .columns(let count):
      // Logical rows are the columns of the words. A code may go on in the word below it.
      for (index, column) in columns.enumerated() {
        codes[index] = Self.field(bytes, bits, stream: row, index: column, streams: count)
      }
    case .turned(let rows):
      for (index, column) in columns.enumerated() { codes[index] = bytes[column * rows + row] }
    case .interleaved(let rowWords):
      for (index, column) in columns.enumerated() {
        codes[index] = interleaved(line: column, place: row, rowWords: rowWords)
      }
    case .flatHighFirst(let width):
      for (index, column) in columns.enumerated() {
        let flat = row * width + column
        codes[index] = bytes[flat / 2] >> UInt8(flat % 2 == 0 ? 4 : 0) & 15
      }
    }
  }

  /// The nibble of a place in a line of interleaved words.
  func interleaved(line: Int, place: Int, rowWords: Int) -> UInt8 {
    let slot = place % 2 * 4 + place % 8 / 2
    return bytes[4 * (line * rowWords + place / 8) + slot / 2] >> UInt8(4 * (slot % 2)) & 15
  }

  /// All codes of a matrix, row after row.
  func all(rows: Int, columns: Int) -> [UInt8] {
    var line = [UInt8](repeating: 0, count: columns)
    return (0..<rows).flatMap { row in
      read(row: row, columns: 0..<columns, into: &line)
      return line
    }
  }

  /// A field of at most 8 bits that begins in this byte and may go on in the next one.
  private func field(at byte: Int, shift: Int) -> UInt8 {
    var word = Int(bytes[byte])
    if shift + bits > 8 { word |= Int(bytes[byte + 1]) << 8 }
    return UInt8(word >> shift & (1 << bits - 1))
  }

  /// Field `index` of the `stream`-th of `streams` columns of 32-bit words, from the lowest bit up.
  static func field(_ bytes: [UInt8], _ bits: Int, stream: Int, index: Int, streams: Int) -> UInt8 {
    let position = index * bits
    func byte(_ number: Int) -> Int { Int(bytes[4 * (number / 4 * streams + stream) + number % 4]) }
    var word = byte(position / 8)
    if position % 8 + bits > 8 { word |= byte(position / 8 + 1) << 8 }
    return UInt8(word >> (position % 8) & (1 << bits - 1))
  }
}
