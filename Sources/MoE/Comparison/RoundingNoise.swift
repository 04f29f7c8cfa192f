// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import CMoEKernels
internal import Glibc
internal import Synchronization
internal import Tensors

/// How far rounding to a table of values moves a number: a value stands for the numbers nearer to it than to its
/// neighbours, and takes them as spread evenly over that cell.
struct RoundingCells: Sendable {
  /// The mean square of the move, for each code; 0 for codes that are no finite number.
  let variances: [Float]

  private static let known = Mutex<[[Float]: Self]>([:])

  /// The cells of a table: tables are few, and are asked for once for each block of rows.
  static func of(_ table: [Float]) -> Self {
    known.withLock { known in
      if let cells = known[table] { return cells }
      let cells = Self(table)
      known[table] = cells
      return cells
    }
  }

  private init(_ table: [Float]) {
    let values = Set(table.filter(\.isFinite)).sorted()
    var variance: [Float: Float] = [:]
    for (index, value) in values.enumerated() where values.count > 1 {
      // The outermost cells end as far out as they begin.
      let below = (value - values[max(index - 1, 0)]) / 2
      let above = (values[min(index + 1, values.count - 1)] - value) / 2
      let (low, high) = (index == 0 ? above : below, index == values.count - 1 ? below : above)
      variance[value] = (low * low * low + high * high * high) / (3 * (low + high))
    }
    variances = table.map { variance[$0] ?? 0 }
  }
}

extension TileDecoder {
  /// The squares of the error that rounding to the format leaves on average, summed over some rows: what the format's
  /// steps and scales say, not what the weights were. nil where the format doesn't tell.
  func roundingNoise(_ rows: StridedRows) -> Double? {
    var sum = 0.0
    for index in 0..<rows.count {
      guard let steps = steps(row: rows.first + index * rows.step) else { return nil }
      sum += steps.reduce(0.0) { $0 + Double($1) * Double($1) } / 12
    }
    return sum
  }
}

extension KernelRows {
  /// The same by the kernels; nil where they have no view of the rows.
  func kernelNoise(_ rows: StridedRows) -> Double? {
    let variances = (self as? GroupedDecoder).map { RoundingCells.of($0.table).variances } ?? []
    return unsafe withKernelRows(rows) { view in
      unsafe variances.withUnsafeBufferPointer {
        unsafe moe_rounding_noise(view, $0.baseAddress, Int64(rows.count), Int64(columns))
      }
    }
  }
}

// MARK: - Steps

extension GroupedDecoder {
  func steps(row: Int) -> [Float]? {
    let steps = RoundingCells.of(table).variances.map { sqrt(12 * $0) }
    var line = [UInt8](repeating: 0, count: columns)
    codes.read(row: row, columns: 0..<columns, into: &line)
    return line.enumerated().map { column, code in
      steps[Int(code)] * scales[scale(row, column, limit: column + 1).index] / (divisor ?? 1)
    }
  }
}

extension CodedWeights {
  /// The step of each weight of a single row.
  func steps() -> [Float] {
    let steps = RoundingCells.of(table).variances.map { sqrt(12 * $0) }
    return codes.enumerated().map { column, code in
      steps[Int(code)] * scales[column / group] * (factors.map { $0.scales[column / $0.group] } ?? 1)
    }
  }
}

extension DenseDecoder {
  func steps(row: Int) -> [Float]? {
    var line = [Float](repeating: 0, count: columns)
    var span = line.mutableSpan
    decode(rows: row..<row + 1, columns: 0..<columns, into: &span)
    return steps(of: line)
  }

  /// The last place of numbers of this type.
  func steps(of values: [Float]) -> [Float]? {
    // Bits of the significand behind its point, and the least exponent of a normal number.
    let parameters: [ElementType: (bits: Int, least: Int)] = [
      .bf16: (7, -126), .f16: (10, -14), .f32: (23, -126), .f64: (23, -126),
    ]
    guard let (bits, least) = parameters[weight.elementType] else { return nil }
    return values.map { value in
      guard value != 0, value.isFinite else { return 0 }
      return Float(sign: .plus, exponent: max(Int(value.exponent), least) - bits, significand: 1)
    }
  }
}
