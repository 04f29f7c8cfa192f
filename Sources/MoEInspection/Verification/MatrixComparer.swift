// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Checkpoints
internal import MoE

/// Compares a projection in both checkpoints, block of rows by block of rows.
struct MatrixComparer: Sendable {
  let pair: VerificationPair
  /// Whether the greatest difference is counted in steps, too: it takes longer.
  let countsSteps: Bool
  let hasHistograms: Bool
  private let buffers = ByteBuffers()

  init(_ pair: VerificationPair, countsSteps: Bool, hasHistograms: Bool) {
    self.pair = pair
    self.countsSteps = countsSteps
    self.hasHistograms = hasHistograms
  }

  /// What one pass gives.
  struct Result: Sendable {
    var verification: MatrixVerification
    var fingerprint: Fingerprint
  }

  /// Bytes of a block of either side: both stay in the last cache between reading and comparing, and what is done once for each block is little beside.
  private static let blockBytes = 4 << 20
  func compare(_ place: MoEModel.Place, _ matrices: VerificationPair.Pair) throws(MoEError) -> Result {
    let (original, stored) = (matrices.original, matrices.stored)
    let (rows, columns) = (original.rows, original.source.columns)
    var sums = RowComparison()
    var noise = (original: SampledNoise(of: original), stored: SampledNoise(of: stored))
    var difference = MatrixVerification.Difference(row: 0, column: 0, original: 0, stored: 0)
    // Steps are those of one format.
    var steps: Double? = countsSteps && original.source.scheme.name == stored.source.scheme.name ? 0 : nil
    var fingerprint = Fingerprint(rows: rows, columns: columns)
    var bins = hasHistograms ? HistogramBins() : nil
    for range in blocks(of: matrices) {
      try original.source.withRows(range, of: original.part, from: pair.original.checkpoint.catalog, buffers) {
        (a) throws(MoEError) in
        try stored.source.withRows(range, of: stored.part, from: pair.stored.checkpoint.catalog, buffers) { b in
          let before = sums.greatest
          sums.add(a, b, firstRow: range.lowerBound)
          if !(sums.greatest == before) {
            difference = Self.greatest(a, b, row: sums.greatestRow, first: range.lowerBound)
          }
          noise.original.add(a)
          noise.stored.add(b)
          fingerprint.add(a, first: range.lowerBound)
          bins?.add(a, b, every: 16)
          if let most = steps { steps = Self.steps(a, b).map { max(most, $0) } }
        }
      }
    }
    var place = place
    place.projections = [matrices.projection]
    let verification = MatrixVerification(
      place: place, rows: rows, columns: columns,
      squares: (sums.squares.first, sums.squares.second, sums.squares.difference),
      roundingNoise: noise.original.total.flatMap { a in noise.stored.total.map { b in a + b } },
      greatest: difference, steps: steps, histogram: bins?.histogram("\(place)"))
    return Result(verification: verification, fingerprint: fingerprint)
  }

  /// All weights of a side.
  func values(_ side: VerificationPair.Side, isOriginal: Bool) throws(MoEError) -> [Float] {
    let model = isOriginal ? pair.original : pair.stored
    return try side.source.withRows(0..<side.rows, of: side.part, from: model.checkpoint.catalog, buffers) {
      $0.floats(0..<side.rows)
    }
  }

  /// Ranges of rows that both sides can be read in.
  private func blocks(of matrices: VerificationPair.Pair) -> [Range<Int>] {
    let rows = matrices.original.rows
    guard let first = matrices.original.source.blockStep, let second = matrices.stored.source.blockStep else {
      return [0..<rows]
    }
    let step = leastCommonMultiple(first, second)
    let rowBytes = max(matrices.original.byteCount, matrices.stored.byteCount) / max(1, rows)
    let count = max(1, Self.blockBytes / max(1, rowBytes) / step) * step
    return stride(from: 0, to: rows, by: count).map { $0..<min($0 + count, rows) }
  }

  /// The weights of a row that are farthest apart, or of which one is not finite.
  private static func greatest(_ a: RowBlock, _ b: RowBlock, row: Int, first: Int) -> MatrixVerification.Difference {
    let place = row - first..<row - first + 1
    let (x, y) = (a.floats(place), b.floats(place))
    var greatest = (size: -Float.infinity, column: 0)
    for column in x.indices {
      let difference = (x[column] - y[column]).magnitude
      let size = difference.isNaN ? .infinity : difference
      if size > greatest.size { greatest = (size, column) }
    }
    return .init(row: row, column: greatest.column, original: x[greatest.column], stored: y[greatest.column])
  }

  /// The greatest difference in steps; nil where a format has none.
  private static func steps(_ a: RowBlock, _ b: RowBlock) -> Double? {
    var most = 0.0
    for row in 0..<a.rows {
      guard let first = a.steps(row: row), let second = b.steps(row: row) else { return nil }
      let (x, y) = (a.floats(row..<row + 1), b.floats(row..<row + 1))
      for column in x.indices where x[column] != y[column] {
        most = max(most, Double((x[column] - y[column]).magnitude / max(first[column], second[column])))
      }
    }
    return most
  }
}

/// The noise that rounding leaves in a matrix, from some of its rows.
private struct SampledNoise {
  private let step: Int
  private let rows: Int
  private var sampled = 0
  private var sum: Double? = 0

  /// Scales of codes may differ much from row to row: more rows are looked at than of numbers.
  init(of side: VerificationPair.Side) {
    let isPlain = side.source.scheme.parameters.form == .dense16
    rows = side.rows
    step = max(1, isPlain ? min(64, rows / 16) : min(16, rows / 64))
  }

  mutating func add(_ block: RowBlock) {
    let (count, noise) = block.roundingNoise(every: step)
    sampled += count
    sum = sum.flatMap { sum in noise.map { sum + $0 } }
  }

  /// Of all rows; nil where the format doesn't tell.
  var total: Double? { sum.map { $0 * Double(rows) / Double(max(1, sampled)) } }
}

/// Some weights of a matrix by which it is known again.
struct Fingerprint: Sendable {
  private(set) var values: [Float] = []
  private let rows: [Int]
  private let columns: [Int]

  init(rows: Int, columns: Int) {
    let (height, width) = (min(rows, 12), min(columns, 12))
    self.rows = (0..<height).map { $0 * rows / height }
    self.columns = (0..<width).map { ($0 * columns + columns / 2) / width }
  }

  /// Of rows from `first` on; blocks come in ascending order.
  mutating func add(_ block: RowBlock, first: Int) {
    for row in rows where row >= first && row < first + block.rows {
      let line = block.floats(row - first..<row - first + 1)
      values += columns.map { line[$0] }
    }
  }

  init(_ matrix: [Float], rows: Int, columns: Int) {
    self.init(rows: rows, columns: columns)
    values = self.rows.flatMap { row in self.columns.map { matrix[row * columns + $0] } }
  }

  /// The cosine of the angle; 0 for other sizes.
  func similarity(to other: Self) -> Double {
    guard values.count == other.values.count else { return 0 }
    var (a, b, product) = (0.0, 0.0, 0.0)
    for (x, y) in zip(values, other.values) {
      a += Double(x) * Double(x)
      b += Double(y) * Double(y)
      product += Double(x) * Double(y)
    }
    return a > 0 && b > 0 ? product / (a * b).squareRoot() : 0
  }
}
