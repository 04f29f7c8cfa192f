// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import CMoEKernels
import Testing

/// Rows of stored weights, decoded and compared by every instruction set, against plain loops.
@Suite struct RowsTests {

  /// Numbers of each element type, and codes with each table.
  enum Kind: Sendable, CustomStringConvertible {
    case numbers(moe_element)
    case codes(bits: Int, table: Int, hasZeros: Bool)

    var description: String {
      switch self {
      case .numbers(let element): "element \(element.rawValue)"
      case .codes(let bits, let table, let hasZeros): "\(bits) bits, table \(table)\(hasZeros ? ", zeros" : "")"
      }
    }

    static let all: [Self] =
      [.numbers(.f32), .numbers(.f16), .numbers(.bf16)]
      + [(4, 4), (8, 9)].flatMap { bits, tables in
        (0..<tables).flatMap { table in
          [false, true].map { .codes(bits: bits, table: table, hasZeros: $0) }
        }
      }
  }

  static func table(bits: Int, _ index: Int) -> [Float] {
    let form = moe_form_coded(Int32(bits), 0, .f32)
    if bits == 8 && index == 8 {
      // e4m3 with its NaN.
      return (0..<256).map { $0 & 0x7f == 0x7f ? .nan : CodedMatrix.smallFloat($0, fraction: 3, bias: 7) }
    }
    return CodedMatrix.tables(form)[index]
  }

  @Test(arguments: moe_isa.supported, Kind.all) func decoded(isa: moe_isa, kind: Kind) throws {
    var random = Random(state: 7)
    let kernels = unsafe isa.kernels
    for (rows, columns, group) in [(3, 64, 16), (2, 1100, 32), (4, 130, 1 << 30), (1, 7, 16), (5, 48, 48)] {
      let matrix = RowMatrix(kind, rows: rows, columns: columns, group: group, random: &random)
      var out = [Float](repeating: -1, count: rows * columns)
      unsafe matrix.withRows { view in
        unsafe out.withUnsafeMutableBufferPointer {
          unsafe moe_decode_rows(kernels, view, Int64(rows), Int64(columns), $0.baseAddress!)
        }
      }
      #expect(
        zip(out, matrix.values).allSatisfy { $0.bitPattern == $1.bitPattern || $0.isNaN && $1.isNaN },
        "\(kind) [\(rows), \(columns)]")
    }
  }

  @Test(arguments: moe_isa.supported, Kind.all) func compared(isa: moe_isa, kind: Kind) throws {
    var random = Random(state: 8)
    let kernels = unsafe isa.kernels
    for other in [Kind.numbers(.bf16), .numbers(.f32), .codes(bits: 4, table: 1, hasZeros: true)] {
      // Scales of 1,000 and more times the power of two that small floats lack are infinite.
      for (rows, columns, group, scale) in [
        (3, 64, 16, 0.1), (2, 1100, 32, 0.1), (4, 130, 1 << 30, 0.1), (1, 4300, 128, 0.1), (2, 100, 32, 1e4),
      ] as [(Int, Int, Int, Float)] {
        let a = RowMatrix(kind, rows: rows, columns: columns, group: group, scale: scale, random: &random)
        let b = RowMatrix(other, rows: rows, columns: columns, group: 32, random: &random)
        var sum = moe_row_comparison()
        unsafe a.withRows { a in
          unsafe b.withRows { b in
            unsafe moe_compare_rows(kernels, a, b, 10, Int64(rows), Int64(columns), &sum)
          }
        }
        let differences: [Float] = zip(a.values, b.values).map { ($0 - $1).magnitude }
        guard differences.allSatisfy({ $0.isFinite }) else {
          #expect(!sum.greatest.isFinite && !sum.difference_squares.isFinite)
          continue
        }
        let found = [sum.a_squares, sum.b_squares, sum.difference_squares]
        for (found, values) in zip(found, [a.values, b.values, differences]) {
          let expected = squares(values)
          #expect(abs(found - expected) <= 1e-5 * expected, "\(kind) and \(other)")
        }
        #expect(sum.greatest == differences.max()!, "\(isa) \(kind), \(other) \(rows) \(columns)")
        #expect(sum.greatest_row == 10 + Int64((differences.firstIndex(of: sum.greatest) ?? -9999) / columns))
      }
    }
  }

  private func squares(_ values: [Float]) -> Double {
    var sum = 0.0
    for value in values { sum += Double(value) * Double(value) }
    return sum
  }

  /// The noise of codes is that of their table, and that of numbers a part of their size.
  @Test func noise() {
    var random = Random(state: 9)
    for (bits, columns) in [(8, 96), (8, 75), (4, 96), (4, 75)] {
      let codes = Kind.codes(bits: bits, table: 0, hasZeros: false)
      let matrix = RowMatrix(codes, rows: 4, columns: columns, group: 32, random: &random)
      let variances = (0..<1 << bits).map { _ in random.float(1).magnitude }
      let found: Double = unsafe matrix.withRows { view in
        unsafe variances.withUnsafeBufferPointer { unsafe moe_rounding_noise(view, $0.baseAddress, 4, Int64(columns)) }
      }
      var expected = 0.0
      for (index, code) in matrix.codes.enumerated() {
        let scale = Double(matrix.scales[index / columns * 3 + index % columns / 32])
        expected += Double(variances[Int(code)]) * scale * scale
      }
      #expect(abs(found - expected) < 1e-5 * expected)
    }
    for (element, bits) in [(moe_element.f32, 23), (.f16, 10), (.bf16, 7)] {
      let numbers = RowMatrix(.numbers(element), rows: 2, columns: 100, group: 16, random: &random)
      let noise: Double = unsafe numbers.withRows { unsafe moe_rounding_noise($0, nil, 2, 100) }
      let places =
        squares(numbers.values.map { Float(sign: .plus, exponent: Int($0.exponent) - bits, significand: 1) }) / 12
      #expect(abs(noise - places) < 1e-5 * places)
    }
  }
}

/// Random rows in memory, and what they mean.
struct RowMatrix {
  let rows: Int, columns: Int, group: Int
  let element: moe_element
  let bits: Int
  var codes: [UInt8] = []
  var table: [Float] = []
  var scales: [Float] = []
  var zeros: [Float]?
  private var bytes: [UInt8] = []

  init(
    _ kind: RowsTests.Kind, rows: Int, columns: Int, group: Int, scale: Float = 0.1, random: inout Random
  ) {
    (self.rows, self.columns, self.group) = (rows, columns, group)
    switch kind {
    case .numbers(let element):
      (self.element, bits) = (element, 0)
      let numbers = (0..<rows * columns).map { _ in element.rounded(random.float(2)) }
      for number in numbers {
        let pattern: UInt32 =
          switch element {
          case .f32: number.bitPattern
          case .bf16: number.bitPattern >> 16
          default: UInt32(Float16(number).bitPattern)
          }
        for byte in 0..<(element == .f32 ? 4 : 2) {
          bytes.append(UInt8(truncatingIfNeeded: pattern >> UInt32(8 * byte)))
        }
      }
      table = numbers
    case .codes(let bits, let table, let hasZeros):
      (element, self.bits) = (.f32, bits)
      self.table = RowsTests.table(bits: bits, table)
      codes = (0..<rows * columns).map { _ in UInt8(random.below(1 << bits)) }
      // Rows of an odd number of nibbles end in half a byte.
      for row in 0..<rows {
        let line = Array(codes[row * columns..<(row + 1) * columns]) + [0]
        if bits == 8 {
          bytes += line.dropLast()
        } else {
          for column in stride(from: 0, to: columns, by: 2) { bytes.append(line[column] | line[column + 1] << 4) }
        }
      }
      scales = (0..<rows * groups).map { _ in random.float(scale) }
      if hasZeros { zeros = (0..<rows * groups).map { _ in Float(random.below(16)) } }
    }
  }

  var groups: Int { (columns + group - 1) / group }

  var values: [Float] {
    guard bits > 0 else { return table }
    return codes.enumerated().map { index, code in
      let place = index / columns * groups + index % columns / group
      return (table[Int(code)] - (zeros?[place] ?? 0)) * scales[place]
    }
  }

  func withRows<Result>(_ body: (UnsafePointer<moe_stored_rows>) -> Result) -> Result {
    unsafe bytes.withUnsafeBytes { bytes in
      unsafe table.withUnsafeBufferPointer { table in
        unsafe scales.withUnsafeBufferPointer { scales in
          unsafe (zeros ?? []).withUnsafeBufferPointer { zeros in
            var view = unsafe moe_stored_rows_dense(bytes.baseAddress!, Int64(bytes.count / rows), element)
            unsafe view.bits = Int32(bits)
            unsafe (view.table, view.scales) = (table.baseAddress, scales.baseAddress)
            unsafe view.zeros = self.zeros == nil ? nil : zeros.baseAddress
            unsafe (view.row_step, view.row_group, view.row_stride) = (1, 1, Int64(groups))
            unsafe (view.group, view.group_stride) = (Int64(group), 1)
            return unsafe body(&view)
          }
        }
      }
    }
  }
}
