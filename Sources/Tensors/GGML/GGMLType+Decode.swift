// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

extension GGMLType {
  /// Decodes `count` elements, whole blocks, to 32-bit floats.
  ///
  /// Every bit pattern has a value: ggml's own, multiplied in its order in 32 bits, so that the results are those of
  /// its reference decoders bit for bit. F64 and wide integers round to nearest.
  ///
  /// - Parameters:
  ///   - source: The first block; any alignment.
  ///   - count: The number of elements.
  ///   - destination: Room for `count` floats.
  /// - Precondition: `count` is a multiple of `blockElements`.
  @unsafe
  public func decode(_ source: UnsafeRawPointer, count: Int, into destination: UnsafeMutablePointer<Float>) {
    precondition(count >= 0 && count % blockElements == 0, "\(count) elements are no whole number of \(self) blocks")
    if let format {
      unsafe format.decode(source, blocks: count / format.elements, into: destination)
    } else {
      unsafe elementType!.decode(source, count: count, into: destination)
    }
  }

  /// Decodes a tile of a matrix: `columns` of `rows`, laid end to end.
  ///
  /// Neither end of `columns` need be that of a block; a cut block is decoded whole to the side.
  ///
  /// - Parameters:
  ///   - rows: Rows of the matrix.
  ///   - columns: Columns of the matrix.
  ///   - rowLength: Elements of a whole row.
  ///   - source: Row 0.
  ///   - destination: Room for `rows.count * columns.count` floats, `[rows, columns]`.
  /// - Precondition: `rowLength` is a multiple of `blockElements`, and `columns` is in the row.
  @unsafe
  public func decode(
    rows: Range<Int>, columns: Range<Int>, rowLength: Int, of source: UnsafeRawPointer,
    into destination: UnsafeMutablePointer<Float>
  ) {
    guard let rowBytes = byteCount(ofRow: rowLength) else {
      preconditionFailure("\(rowLength) elements are no whole number of \(self) blocks")
    }
    precondition(rows.lowerBound >= 0, "a negative row")
    precondition(columns.lowerBound >= 0 && columns.upperBound <= rowLength, "columns outside the row")
    guard !columns.isEmpty else { return }
    let cut = columns.lowerBound % blockElements != 0 || columns.upperBound % blockElements != 0
    for (index, row) in rows.enumerated() {
      let start = unsafe source + row * rowBytes
      let target = unsafe destination + index * columns.count
      if cut {
        unsafe decodeCut(start, columns, into: target)
      } else {
        let first = unsafe start + columns.lowerBound / blockElements * blockBytes
        unsafe decode(first, count: columns.count, into: target)
      }
    }
  }

  /// Decodes block by block and takes of each what is wanted.
  private func decodeCut(_ row: UnsafeRawPointer, _ columns: Range<Int>, into target: UnsafeMutablePointer<Float>) {
    let elements = blockElements
    unsafe withUnsafeTemporaryAllocation(of: Float.self, capacity: elements) { scratch in
      let first = columns.lowerBound / elements
      let last = (columns.upperBound - 1) / elements
      for block in first...last {
        unsafe decode(row + block * blockBytes, count: elements, into: scratch.baseAddress!)
        let wanted = columns.clamped(to: block * elements..<(block + 1) * elements)
        for column in wanted {
          unsafe target[column - columns.lowerBound] = scratch[column - block * elements]
        }
      }
    }
  }
}

extension GGMLType {
  /// Decodes all of `bytes`.
  ///
  /// - Precondition: `bytes` holds whole blocks.
  public func decode(_ bytes: [UInt8]) -> [Float] {
    precondition(bytes.count % blockBytes == 0, "\(bytes.count) bytes are no whole number of \(self) blocks")
    return decode(rows: 0..<1, rowLength: bytes.count / blockBytes * blockElements, of: bytes)
  }

  /// Decodes whole rows of the matrix that `bytes` holds.
  ///
  /// - Precondition: `rowLength` is a multiple of `blockElements`, and `rows` are in `bytes`.
  public func decode(rows: Range<Int>, rowLength: Int, of bytes: [UInt8]) -> [Float] {
    guard let rowBytes = byteCount(ofRow: rowLength) else {
      preconditionFailure("\(rowLength) elements are no whole number of \(self) blocks")
    }
    precondition(
      rows.lowerBound >= 0 && (rowBytes == 0 || rows.upperBound <= bytes.count / rowBytes), "rows outside the bytes")
    let count = rows.count * rowLength
    guard count > 0 else { return [] }
    return unsafe [Float](unsafeUninitializedCapacity: count) { floats, initialized in
      unsafe bytes.withUnsafeBytes {
        unsafe decode($0.baseAddress! + rows.lowerBound * rowBytes, count: count, into: floats.baseAddress!)
      }
      initialized = count
    }
  }

  /// Decodes a tile of the matrix that `bytes` holds: `columns` of `rows`, laid end to end.
  ///
  /// - Parameters:
  ///   - rows: Rows of the matrix.
  ///   - columns: Columns of the matrix.
  ///   - rowLength: Elements of a whole row.
  ///   - bytes: The whole matrix.
  ///   - tile: `rows.count * columns.count` floats, `[rows, columns]`.
  /// - Precondition: `rowLength` is a multiple of `blockElements`, `rows` are in `bytes`, `columns` in the row.
  public func decode(
    rows: Range<Int>, columns: Range<Int>, rowLength: Int, of bytes: [UInt8], into tile: inout MutableSpan<Float>
  ) {
    guard let rowBytes = byteCount(ofRow: rowLength) else {
      preconditionFailure("\(rowLength) elements are no whole number of \(self) blocks")
    }
    precondition(
      rows.lowerBound >= 0 && (rowBytes == 0 || rows.upperBound <= bytes.count / rowBytes), "rows outside the bytes")
    precondition(tile.count == rows.count * columns.count, "the tile has another size")
    guard !tile.isEmpty else { return }
    unsafe tile.withUnsafeMutableBufferPointer { target in
      unsafe bytes.withUnsafeBytes { source in
        unsafe decode(
          rows: rows, columns: columns, rowLength: rowLength, of: source.baseAddress!, into: target.baseAddress!)
      }
    }
  }
}
