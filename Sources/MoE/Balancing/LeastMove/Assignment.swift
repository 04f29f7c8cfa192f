// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// The assignment of rows to columns of a square matrix with the least sum (Kuhn, 1955; the form with potentials and
/// shortest augmenting paths, O(n³)).
///
/// - Parameter costs: `[n][n]`
/// - Returns: the column of each row; the same for the same matrix.
func leastCostAssignment(_ costs: [[Int]]) -> [Int] {
  let count = costs.count
  // Row and column 0 stand for "none yet"; rows and columns count from 1.
  var rowPotentials = Array(repeating: 0, count: count + 1)
  var columnPotentials = rowPotentials
  var rowOfColumn = rowPotentials
  for row in stride(from: 1, through: count, by: 1) {
    var previous = Array(repeating: 0, count: count + 1)
    var distances = Array(repeating: Int.max, count: count + 1)
    var isVisited = Array(repeating: false, count: count + 1)
    var column = 0
    rowOfColumn[0] = row
    repeat {
      isVisited[column] = true
      let current = rowOfColumn[column]
      var (step, next) = (Int.max, 0)
      for other in 1...count where !isVisited[other] {
        let reduced = costs[current - 1][other - 1] - rowPotentials[current] - columnPotentials[other]
        if reduced < distances[other] {
          distances[other] = reduced
          previous[other] = column
        }
        if distances[other] < step { (step, next) = (distances[other], other) }
      }
      for other in 0...count {
        if isVisited[other] {
          rowPotentials[rowOfColumn[other]] += step
          columnPotentials[other] -= step
        } else if distances[other] != .max {
          distances[other] -= step
        }
      }
      column = next
    } while rowOfColumn[column] != 0
    while column != 0 {
      rowOfColumn[column] = rowOfColumn[previous[column]]
      column = previous[column]
    }
  }
  var columns = Array(repeating: 0, count: count)
  for column in stride(from: 1, through: count, by: 1) { columns[rowOfColumn[column] - 1] = column - 1 }
  return columns
}
