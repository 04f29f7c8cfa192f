// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

extension CodeReader.Arrangement {
  /// The bytes of codes in this arrangement: what `CodeReader` reads back.
  ///
  /// - Parameter codes: One for each weight, row after row; bits above `bits` are ignored.
  func pack(_ codes: [UInt8], rows: Int, columns: Int, bits: Int) -> [UInt8] {
    let mask = UInt8(truncatingIfNeeded: 1 << bits - 1)
    if case .rows(let rowBytes) = self {
      if bits == 8 && rowBytes == columns { return codes }
      if bits == 4 && 2 * rowBytes == columns { return pairs(codes, highFirst: false) }
    }
    if case .flatHighFirst = self, codes.count % 2 == 0 { return pairs(codes, highFirst: true) }
    var bytes = [UInt8](repeating: 0, count: byteCount(rows: rows, columns: columns, bits: bits))
    for row in 0..<rows {
      for column in 0..<columns {
        let code = codes[row * columns + column] & mask
        let (byte, shift) = place(row, column, bits)
        bytes[byte] |= code << UInt8(shift)
        if shift + bits > 8 { bytes[place(row, column, bits, after: 8 - shift).byte] |= code >> UInt8(8 - shift) }
      }
    }
    return bytes
  }

  private func byteCount(rows: Int, columns: Int, bits: Int) -> Int {
    switch self {
    case .rows(let rowBytes): rows * rowBytes
    case .columns(let count): (columns * bits + 31) / 32 * 4 * count
    case .turned(let rows): rows * columns
    case .interleaved(let rowWords): 4 * columns * rowWords
    case .flatHighFirst: (rows * columns + 1) / 2
    }
  }

  /// The byte and the lowest bit of a code, or of its bits from `after` on.
  private func place(_ row: Int, _ column: Int, _ bits: Int, after: Int = 0) -> (byte: Int, shift: Int) {
    let position = column * bits + after
    switch self {
    case .rows(let rowBytes): return (row * rowBytes + position / 8, position % 8)
    case .columns(let count): return (4 * (position / 32 * count + row) + position / 8 % 4, position % 8)
    case .turned(let rows): return (column * rows + row, 0)
    case .interleaved(let rowWords):
      let slot = row % 2 * 4 + row % 8 / 2
      return (4 * (column * rowWords + row / 8) + slot / 2, 4 * (slot % 2))
    case .flatHighFirst(let width):
      let flat = row * width + column
      return (flat / 2, flat % 2 == 0 ? 4 : 0)
    }
  }

  /// Two nibbles in a byte.
  private func pairs(_ codes: [UInt8], highFirst: Bool) -> [UInt8] {
    let (even, odd): (UInt8, UInt8) = highFirst ? (4, 0) : (0, 4)
    return unsafe [UInt8](unsafeUninitializedCapacity: codes.count / 2) { bytes, initialized in
      unsafe codes.withUnsafeBufferPointer { codes in
        for index in 0..<codes.count / 2 {
          unsafe bytes[index] = (codes[2 * index] & 15) &<< even | (codes[2 * index + 1] & 15) &<< odd
        }
      }
      initialized = codes.count / 2
    }
  }
}

/// The transpose of a matrix of `rows` rows.
func transposed<Element>(_ values: [Element], rows: Int) -> [Element] {
  let columns = rows == 0 ? 0 : values.count / rows
  var result: [Element] = []
  result.reserveCapacity(values.count)
  for column in 0..<columns {
    for row in 0..<rows { result.append(values[row * columns + column]) }
  }
  return result
}
