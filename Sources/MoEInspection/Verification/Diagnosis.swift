// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import MoE

/// What happened to the weights of an expert, as far as weights can tell.
public struct Diagnosis: Sendable, Hashable {
  public var kind: Kind
  /// For people, for example `gate and up are exchanged`.
  public var text: String

  public enum Kind: String, Sendable, Hashable, CaseIterable {
    case notFinite
    /// All weights, or those of some rows, are 0.
    case zero
    case gateUpExchanged
    case expertsExchanged
    /// It holds the weights of another expert, or of another projection.
    case copy
    case transposed
    /// Multiplied by a number.
    case factor
    /// Every row, or every group of columns, multiplied by a number of its own.
    case factors
    /// Neighbouring columns stand in another order: nibbles of codes.
    case nibbleOrder
    /// Rows or columns stand in another order.
    case order
    /// A number was added to all weights of a group: the zero point.
    case offset
    /// A few weights carry all of the error.
    case fewWeights
    /// The error is all in some rows or columns.
    case region
    /// Noise without a structure.
    case noise
  }
}

/// The weights of a suspect matrix, of its original, and of what it may have been mistaken for.
struct Suspect {
  var projection: Projection
  var rows: Int
  var columns: Int
  var original: [Float]
  var stored: [Float]
  /// The other originals of the same expert.
  var siblings: [Projection: [Float]]
  /// Originals of other experts that have its fingerprint, with their names and whether that one has this one's weights.
  var lookalikes: [(name: String, values: [Float], isExchanged: Bool)]
  /// Whether the stored weights of the other one of gate and up are this one's.
  var isGateUpExchanged: Bool
  /// The noise of rounding, Σ of squares; 0 where it isn't known.
  var roundingNoise: Double

  /// Σ of the squares of the differences from what it may be.
  func noise(_ guess: [Float]) -> Double {
    zip(stored, guess).reduce(0.0) { sum, pair in
      let difference = Double(pair.0) - Double(pair.1)
      return sum + difference * difference
    }
  }

  /// Whether weights explain the stored ones: what is left is about the noise of rounding, or next to nothing of what
  /// there was.
  ///
  /// - Parameter share: at most so much of the error may be left.
  func isExplained(by guess: [Float], leaving share: Double = 0.3) -> Bool {
    guard guess.count == stored.count else { return false }
    let (left, all) = (noise(guess), noise(original))
    return left <= max(6 * roundingNoise, 0.02 * all) && left < share * all
  }
}

extension Diagnosis {
  /// What is tried, the plainer first.
  private static let guesses: [@Sendable (Suspect) -> Self?] = [
    notFinite, fewWeights, zero, exchanged, lookalike, constantFactor, transposed, columnOrder, movedRows, movedColumns,
    rowFactors, groupFactors, offset, region, noise,
  ]

  init?(_ suspect: Suspect) {
    for guess in Self.guesses {
      if let found = guess(suspect) {
        self = found
        return
      }
    }
    return nil
  }

  private static func notFinite(_ suspect: Suspect) -> Self? {
    let count = suspect.stored.count { !$0.isFinite }
    guard count > 0 else { return nil }
    return Self(kind: .notFinite, text: "\(count) weight(s) are no finite numbers")
  }

  /// Less than one weight in a thousand has nine tenths of the error.
  private static func fewWeights(_ suspect: Suspect) -> Self? {
    let errors = zip(suspect.original, suspect.stored).map { ($0 - $1) * ($0 - $1) }
    let total = errors.reduce(0.0) { $0 + Double($1) }
    let limit = max(1, min(16, errors.count / 1000))
    let worst = errors.indices.sorted { errors[$0] > errors[$1] }.prefix(limit)
    var sum = 0.0
    for (count, index) in worst.enumerated() {
      sum += Double(errors[index])
      guard sum > 0.9 * total else { continue }
      let first = worst.first!
      return Self(
        kind: .fewWeights,
        text: "\(count + 1) weight(s) carry the error: [\(first / suspect.columns), \(first % suspect.columns)] is "
          + "\(suspect.stored[first]), not \(suspect.original[first])")
    }
    return nil
  }

  private static func zero(_ suspect: Suspect) -> Self? {
    let (rows, columns) = (suspect.rows, suspect.columns)
    func isZero(_ row: Int) -> Bool { !suspect.stored[row * columns..<(row + 1) * columns].contains { $0 != 0 } }
    let zeros = (0..<rows).filter { row in
      isZero(row) && suspect.original[row * columns..<(row + 1) * columns].contains { $0 != 0 }
    }
    if zeros.count == rows { return Self(kind: .zero, text: "all weights are 0") }
    guard !zeros.isEmpty else { return nil }
    var guess = suspect.original
    for row in zeros {
      guess.replaceSubrange(row * columns..<(row + 1) * columns, with: repeatElement(0, count: columns))
    }
    // That they are 0 is certain, so a fifth of the error is enough: coarse formats leave much in all the other rows.
    guard suspect.isExplained(by: guess, leaving: 0.8) else { return nil }
    return Self(kind: .zero, text: "the weights of rows \(zeros.ranges) are 0")
  }

  private static func exchanged(_ suspect: Suspect) -> Self? {
    for (projection, values) in suspect.siblings.sorted(by: { $0.key.rawValue < $1.key.rawValue })
    where suspect.isExplained(by: values) {
      if suspect.isGateUpExchanged { return Self(kind: .gateUpExchanged, text: "gate and up are exchanged") }
      return Self(kind: .copy, text: "it holds the weights of \(projection) of the same expert")
    }
    return nil
  }

  private static func lookalike(_ suspect: Suspect) -> Self? {
    for other in suspect.lookalikes where suspect.isExplained(by: other.values) {
      return other.isExchanged
        ? Self(kind: .expertsExchanged, text: "exchanged with \(other.name)")
        : Self(kind: .copy, text: "it holds the weights of \(other.name)")
    }
    return nil
  }

  /// The whole as it would be read with its two axes mistaken for each other.
  private static func transposed(_ suspect: Suspect) -> Self? {
    let (rows, columns) = (suspect.rows, suspect.columns)
    guard rows > 1, columns > 1 else { return nil }
    var guess: [Float] = []
    guess.reserveCapacity(rows * columns)
    for column in 0..<columns { for row in 0..<rows { guess.append(suspect.original[row * columns + column]) } }
    guard suspect.isExplained(by: guess) else { return nil }
    return Self(kind: .transposed, text: "transposed: stored [\(columns), \(rows)]")
  }

  /// The error is all in a part of the rows or of the columns.
  private static func region(_ suspect: Suspect) -> Self? {
    let (rows, columns) = (suspect.rows, suspect.columns)
    var (rowErrors, columnErrors) = ([Double](repeating: 0, count: rows), [Double](repeating: 0, count: columns))
    for row in 0..<rows {
      for column in 0..<columns {
        let index = row * columns + column
        let difference = Double(suspect.original[index]) - Double(suspect.stored[index])
        rowErrors[row] += difference * difference
        columnErrors[column] += difference * difference
      }
    }
    for (name, errors) in [("rows", rowErrors), ("columns", columnErrors)] {
      let middle = errors.sorted()[errors.count / 2]
      let bad = errors.indices.filter { errors[$0] > 8 * middle }
      guard !bad.isEmpty, bad.count <= errors.count / 2 else { continue }
      let share = bad.reduce(0.0) { $0 + errors[$1] } / errors.reduce(0, +)
      guard share > 0.8 else { continue }
      return Self(kind: .region, text: "the error is in \(name) \(bad.ranges)")
    }
    return nil
  }

  private static func noise(_ suspect: Suspect) -> Self? {
    let noise = suspect.noise(suspect.original)
    let excess =
      suspect.roundingNoise > 0
      ? ", \(Format.fixed(MatrixVerification.decibels(noise, over: suspect.roundingNoise), 1)) dB above that of rounding"
      : ""
    return Self(kind: .noise, text: "noise without a structure\(excess): rounded more coarsely, or other weights")
  }
}
