// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// W[n, k] = (value of the code − zero point) · scale: what every format here comes down to, multiplied in float32.
struct GroupedDecoder: TileDecoder {
  /// Which scale belongs to a weight.
  enum Scales: Sendable {
    /// Of a grid: a step of rows and of columns, and the distance of their scales.
    case grid(rowStep: Int, columnStep: Int, rowStride: Int, columnStride: Int)
    /// One for so many neighbours in the flat matrix.
    case flat(Int)
  }

  let rows: Int
  let columns: Int
  let codes: CodeReader
  /// The value of each code.
  let table: [Float]
  let scales: [Float]
  let arrangement: Scales
  /// One for each scale.
  var zeroPoints: [Float]?
  /// The group of each column, in place of its number divided by the step.
  var groupIndex: [Int]?
  /// A number that the product is divided by (bitsandbytes int8).
  var divisor: Float?
  /// What `scales` are the products of, where they have two levels: one each, and one for the matrix (NVFP4).
  var levels: (scales: [Float], factor: Float)?

  init(
    _ stored: StoredProjection, _ codes: CodeReader, table: [Float], scales: [Float], _ arrangement: Scales
  ) {
    rows = stored.rows
    columns = stored.columns
    self.codes = codes
    self.table = table
    self.scales = scales
    self.arrangement = arrangement
  }

  func decode(rows: Range<Int>, columns: Range<Int>, into tile: inout MutableSpan<Float>) {
    precondition(tile.count == rows.count * columns.count, "the tile has another size")
    precondition(table.count >= 1 << codes.bits, "codes without a value")
    if columns == 0..<self.columns, !tile.isEmpty, decodeByKernels(rows, into: &tile) { return }
    var buffer = [UInt8](repeating: 0, count: columns.count)
    var place = 0
    for row in rows {
      codes.read(row: row, columns: columns, into: &buffer)
      var column = columns.lowerBound
      while column < columns.upperBound {
        let (index, end) = scale(row, column, limit: columns.upperBound)
        let (scale, zeroPoint) = (scales[index], zeroPoints?[index] ?? 0)
        let first = column - columns.lowerBound
        unsafe tile.withUnsafeMutableBufferPointer { tile in
          unsafe buffer.withUnsafeBufferPointer { buffer in
            unsafe table.withUnsafeBufferPointer { table in
              for offset in 0..<end - column {
                // Taking 0 away changes nothing, not even the sign of a zero.
                let value = unsafe table[Int(buffer[first + offset])] - zeroPoint
                unsafe tile[place + offset] = value * scale
              }
            }
          }
          if let divisor {
            for offset in place..<place + end - column { unsafe tile[offset] /= divisor }
          }
        }
        place += end - column
        column = end
      }
    }
  }

  /// The index of the scale of a weight, and where in its row another one begins.
  func scale(_ row: Int, _ column: Int, limit: Int) -> (index: Int, end: Int) {
    switch arrangement {
    case .grid(let rowStep, let columnStep, let rowStride, let columnStride):
      let first = row / rowStep * rowStride
      if let groupIndex { return (first + groupIndex[column] * columnStride, column + 1) }
      let group = column / columnStep
      return (first + group * columnStride, column + min(limit - column, columnStep - column % columnStep))
    case .flat(let size):
      let flat = row * columns + column
      return (flat / size, column + min(limit - column, size - flat % size))
    }
  }
}

extension GroupedDecoder.Scales {
  /// Scales stored as the granularity says, row after row: `[]`, `[out]`, `[out, in/g]`, `[⌈out/r⌉, ⌈in/c⌉]`.
  static func rowMajor(_ granularity: Granularity, columns: Int) -> Self {
    switch granularity {
    case .tensor: .grid(rowStep: .max, columnStep: .max, rowStride: 0, columnStride: 0)
    case .channel: .grid(rowStep: 1, columnStep: .max, rowStride: 1, columnStride: 0)
    case .group(let size): .grid(rowStep: 1, columnStep: size, rowStride: columns / size, columnStride: 1)
    case .block(let height, let width):
      .grid(
        rowStep: height, columnStep: width, rowStride: columns / width + (columns % width > 0 ? 1 : 0),
        columnStride: 1)
    case .flat(let size): .flat(size)
    }
  }

  /// Scales as the rows of a matrix `[in/g, out]`: GPTQ and AWQ.
  static func columnMajor(groupSize: Int, rows: Int) -> Self {
    .grid(rowStep: 1, columnStep: groupSize, rowStride: 1, columnStride: rows)
  }
}

/// The value of each code.
enum CodeTable {
  /// Whole numbers of `bits`, less `middle`.
  static func integers(bits: Int, middle: Int = 0) -> [Float] { (0..<1 << bits).map { Float($0 - middle) } }

  /// Bytes in two's complement.
  static let signedBytes: [Float] = (0..<256).map { Float(Int8(truncatingIfNeeded: $0)) }
}
