// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import MoE

extension Diagnosis {
  /// Orders of neighbouring columns that packings of nibbles differ by.
  private static let orders: [(name: String, places: [Int])] = [
    ("the two nibbles of each byte are exchanged", [1, 0]),
    ("the nibbles of each word are in reverse order", [7, 6, 5, 4, 3, 2, 1, 0]),
    ("the nibbles are in the order of AWQ", [0, 4, 1, 5, 2, 6, 3, 7]),
    ("the nibbles are in the order of AWQ, undone twice", [0, 2, 4, 6, 1, 3, 5, 7]),
  ]

  static func columnOrder(_ suspect: Suspect) -> Self? {
    for (name, places) in orders where suspect.columns % places.count == 0 {
      var guess = suspect.original
      for start in stride(from: 0, to: guess.count, by: places.count) {
        for (place, source) in places.enumerated() { guess[start + place] = suspect.original[start + source] }
      }
      if suspect.isExplained(by: guess) { return Self(kind: .nibbleOrder, text: name) }
    }
    return nil
  }

  /// Rows that are other rows of the original, or of the one that shares a tensor with it.
  static func movedRows(_ suspect: Suspect) -> Self? {
    let (rows, columns) = (suspect.rows, suspect.columns)
    var sources = [(suspect.projection, suspect.original)]
    for other in [Projection.gate, .up] where suspect.projection != .down {
      if let values = suspect.siblings[other] { sources.append((other, values)) }
    }
    // Gate rows come first in what they share.
    sources.sort { $0.0 == .gate && $1.0 != .gate }
    let own = sources.firstIndex { $0.0 == suspect.projection }! * rows
    guard
      let moves = moves(
        suspect.stored, among: sources.flatMap(\.1), count: rows, of: rows * sources.count, length: columns)
    else { return nil }
    return order("row", moves.map { ($0.place, $0.source - own) }, count: rows, shared: sources.count > 1)
  }

  static func movedColumns(_ suspect: Suspect) -> Self? {
    func turned(_ matrix: [Float]) -> [Float] {
      (0..<suspect.columns).flatMap { column in
        (0..<suspect.rows).map { matrix[$0 * suspect.columns + column] }
      }
    }
    guard
      let moves = moves(
        turned(suspect.stored), among: turned(suspect.original), count: suspect.columns, of: suspect.columns,
        length: suspect.rows)
    else { return nil }
    return order("column", moves.map { ($0.place, $0.source) }, count: suspect.columns, shared: false)
  }

  /// For some lines, the line that each is most like; nil where they are like none.
  private static func moves(
    _ lines: [Float], among sources: [Float], count: Int, of sourceCount: Int, length: Int
  ) -> [(place: Int, source: Int)]? {
    let tried = (0..<min(count, 9)).map { ($0 * 2 + 1) * count / (2 * min(count, 9)) }
    let lengths = (0..<sourceCount).map { source in
      sources[source * length..<(source + 1) * length].reduce(0.0) { $0 + Double($1) * Double($1) }
    }
    var moves: [(place: Int, source: Int)] = []
    for place in tried {
      let line = lines[place * length..<(place + 1) * length]
      let square = line.reduce(0.0) { $0 + Double($1) * Double($1) }
      guard square > 0 else { continue }
      var best = (source: 0, cosine: 0.0)
      for source in 0..<sourceCount where lengths[source] > 0 {
        var product: Float = 0
        for (x, y) in zip(line, sources[source * length..<(source + 1) * length]) { product += x * y }
        let cosine = Double(product) / (square * lengths[source]).squareRoot()
        if cosine > best.cosine { best = (source, cosine) }
      }
      if best.cosine > 0.8 { moves.append((place, best.source)) }
    }
    return moves.count * 4 >= tried.count * 3 ? moves : nil
  }

  /// What an order is called. Places are counted from the first line of the matrix, also those of the other matrix that
  /// it shares a tensor with.
  private static func order(
    _ name: String, _ moves: [(place: Int, source: Int)], count: Int, shared: Bool
  ) -> Self? {
    guard moves.contains(where: { $0.place != $0.source }) else { return nil }
    let first = moves.first { $0.place != $0.source }!
    let shift = ((first.source - first.place) % count + count) % count
    let text: String
    if moves.allSatisfy({ $0.source == ($0.place + shift) % count }) {
      text =
        2 * shift == count ? "the two halves of the \(name)s are exchanged" : "the \(name)s are rotated by \(shift)"
    } else if moves.allSatisfy({ $0.source == count - 1 - $0.place }) {
      text = "the \(name)s are in reverse order"
    } else if shared, moves.contains(where: { !(0..<count).contains($0.source) }) {
      text = "the \(name)s of gate and up are mixed: \(name) \(first.place) is one of the other's"
    } else {
      text = "the \(name)s are in another order: \(name) \(first.place) is \(name) \(first.source) of the original"
    }
    return Self(kind: .order, text: text)
  }
}
