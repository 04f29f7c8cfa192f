// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import CAccelerators
internal import MoE
internal import Tensors

/// Rows of one array of an expert's matrix on their way into its region: where they go, and how some of them are packed.
@safe
struct RegionSlice {
  /// The place in the region.
  let offset: Int
  let rowCount: Int
  let rowBytes: Int
  /// Packs rows into zeroed memory.
  let pack: (_ rows: Range<Int>, _ target: UnsafeMutableRawBufferPointer) throws(MoEError) -> Void

  init(
    offset: Int, rowCount: Int, rowBytes: Int,
    pack: @escaping (Range<Int>, UnsafeMutableRawBufferPointer) throws(MoEError) -> Void
  ) {
    self.offset = offset
    self.rowCount = rowCount
    self.rowBytes = rowBytes
    unsafe self.pack = pack
  }

  /// Bytes that are there already.
  init(_ bytes: [UInt8], rowBytes: Int, offset: Int) {
    unsafe self.init(offset: offset, rowCount: bytes.count / max(rowBytes, 1), rowBytes: rowBytes) {
      (rows, target) throws(MoEError) in
      unsafe target.copyBytes(from: bytes[rows.lowerBound * rowBytes..<rows.upperBound * rowBytes])
    }
  }

  /// The arrays that a slice of parameters becomes.
  static func slices(_ slice: ParameterSlice, in matrix: moe_matrix, _ resident: ElementType) throws(MoEError) -> [Self]
  {
    switch slice.content {
    case .dense(let view): [try dense(view, slice, matrix, resident)]
    case .codes(let weights): try coded(weights, slice, matrix)
    }
  }

  private init(
    _ part: MatrixPart, of matrix: moe_matrix, firstRow: Int, rowCount: Int,
    pack: @escaping (Range<Int>, UnsafeMutableRawBufferPointer) throws(MoEError) -> Void
  ) {
    let rowBytes = part.rowBytes(in: matrix)
    unsafe self.init(
      offset: Int(matrix[keyPath: part.offset]) + firstRow * rowBytes, rowCount: rowCount, rowBytes: rowBytes,
      pack: pack)
  }

  private init(_ bytes: [UInt8], _ part: MatrixPart, of matrix: moe_matrix, firstRow: Int) {
    let isTable = part == .table
    let rowBytes = isTable ? bytes.count : part.rowBytes(in: matrix)
    self.init(
      bytes, rowBytes: rowBytes, offset: Int(matrix[keyPath: part.offset]) + (isTable ? 0 : firstRow * rowBytes))
  }
}

// MARK: - Dense

extension RegionSlice {
  static func dense(
    _ view: ParameterView, _ slice: ParameterSlice, _ matrix: moe_matrix, _ resident: ElementType
  ) throws(MoEError) -> Self {
    guard slice.role == .weight else {
      return Self(ElementType.f32.encode(try view.decoded()), .bias, of: matrix, firstRow: slice.firstRow)
    }
    let width = resident.bitWidth / 8
    return unsafe Self(.weights, of: matrix, firstRow: slice.firstRow, rowCount: view.rows) {
      (rows, target) throws(MoEError) in
      let rowBytes = Int(matrix.row_bytes)
      if view.elementType == resident {
        for (index, row) in rows.enumerated() {
          unsafe copy(view, row, width, to: target.baseAddress! + index * rowBytes)
        }
        return
      }
      let bytes = resident.encode(try view.rows(rows).decoded())
      for index in 0..<rows.count {
        let source = bytes[index * view.columns * width..<(index + 1) * view.columns * width]
        unsafe UnsafeMutableRawBufferPointer(rebasing: target[(index * rowBytes)...]).copyBytes(from: source)
      }
    }
  }

  private static func copy(_ view: ParameterView, _ row: Int, _ width: Int, to target: UnsafeMutableRawPointer) {
    let source = unsafe view.base + row * view.rowStride * width
    guard view.columnStride != 1 else {
      return unsafe target.copyMemory(from: source, byteCount: view.columns * width)
    }
    for column in 0..<view.columns {
      unsafe (target + column * width).copyMemory(from: source + column * view.columnStride * width, byteCount: width)
    }
  }
}

extension ParameterView {
  /// Some of the rows.
  fileprivate func rows(_ rows: Range<Int>) -> Self {
    unsafe Self(
      base: base + rows.lowerBound * rowStride * (elementType.bitWidth / 8), elementType: elementType, rows: rows.count,
      columns: columns, rowStride: rowStride, columnStride: columnStride)
  }
}

// MARK: - Coded

extension RegionSlice {
  private static func coded(
    _ weights: CodedWeights, _ slice: ParameterSlice, _ matrix: moe_matrix
  ) throws(MoEError) -> [Self] {
    var slices = [codes(weights, slice, matrix)]
    func add(_ part: MatrixPart, _ values: [Float], _ number: Int32) throws(MoEError) {
      guard part.rowBytes(in: matrix) > 0 else { return }
      guard let type = CodedForm.Number.allCases.first(where: { $0.device == number }), let bytes = type.encoded(values)
      else {
        throw MoEError(
          .invalidValue, "the \(part) of a \(slice.projection) can't be kept as they are",
          expected: "numbers of their type",
          found: "others")
      }
      slices.append(Self(bytes, part, of: matrix, firstRow: slice.firstRow))
    }
    try add(.scales, weights.scales, matrix.scale)
    switch weights.correction {
    case .none: break
    case .zero(let values), .minimum(let values): try add(.corrections, values, matrix.correction_number)
    }
    if let factors = weights.factors {
      try add(.factors, factors.scales, matrix.factor)
      try add(.minimumFactors, factors.minimums, matrix.factor)
    }
    // All slices of a projection have the same table.
    if slice.firstRow == 0 {
      slices.append(Self(ElementType.f32.encode(weights.table), .table, of: matrix, firstRow: 0))
    }
    return slices
  }

  /// The codes alone, row by row.
  static func codes(_ weights: CodedWeights, _ slice: ParameterSlice, _ matrix: moe_matrix) -> Self {
    unsafe Self(.weights, of: matrix, firstRow: slice.firstRow, rowCount: weights.rows) {
      (rows, target) throws(MoEError) in
      for (index, row) in rows.enumerated() {
        unsafe pack(
          weights.codes[row * weights.columns..<(row + 1) * weights.columns], bits: weights.bits,
          into: target.baseAddress! + index * Int(matrix.row_bytes))
      }
    }
  }

  /// Codes side by side, the first in the lowest bits.
  private static func pack(_ codes: ArraySlice<UInt8>, bits: Int, into target: UnsafeMutableRawPointer) {
    unsafe codes.withUnsafeBufferPointer { codes in
      if bits == 8 {
        unsafe target.copyMemory(from: codes.baseAddress!, byteCount: codes.count)
        return
      }
      var place = unsafe target
      for first in stride(from: 0, to: codes.count, by: 8) {
        var word: UInt64 = 0
        for index in 0..<min(8, codes.count - first) {
          word |= UInt64(unsafe codes[first + index]) << UInt64(index * bits)
        }
        for byte in 0..<bits {
          unsafe place.storeBytes(of: UInt8(truncatingIfNeeded: word >> UInt64(8 * byte)), as: UInt8.self)
          unsafe place += 1
        }
      }
    }
  }
}
