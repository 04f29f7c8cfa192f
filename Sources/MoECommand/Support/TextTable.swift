// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// Columns of text, numbers to the right.
struct TextTable {
  private var rows: [[String]]
  private let leftAligned: Set<Int>

  /// - Parameter leftAligned: columns of words.
  init(_ header: [String], leftAligned: Set<Int> = []) {
    rows = [header]
    self.leftAligned = leftAligned
  }

  mutating func append(_ row: [String]) { rows.append(row) }

  var text: String {
    let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max()! }
    return rows.map { row in
      var line = row.enumerated().map { column, cell in
        let padding = String(repeating: " ", count: widths[column] - cell.count)
        return leftAligned.contains(column) ? cell + padding : padding + cell
      }.joined(separator: "  ")
      while line.last == " " { line.removeLast() }
      return line
    }.joined(separator: "\n")
  }
}
