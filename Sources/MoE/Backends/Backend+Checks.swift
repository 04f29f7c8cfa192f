// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// What every backend on host memory checks before it touches memory.

/// Checks that a region handed to `replace` has the layout's size.
package func checkRegion(_ byteCount: Int, of layout: Layout) throws(MoEError) {
  guard byteCount == layout.bytesPerExpert else {
    throw MoEError(
      .invalidArgument, "an expert's region has another size", subject: layout.identity,
      expected: "\(layout.bytesPerExpert) bytes", found: "\(byteCount)")
  }
}

/// Checks the number of a slot.
package func checkSlot(_ slot: Int, of layout: Layout) throws(MoEError) {
  guard (0..<layout.specification.expertCount).contains(slot) else {
    throw MoEError(
      .invalidArgument, "no such slot", expected: "0..<\(layout.specification.expertCount)", found: "\(slot)")
  }
}

/// Checks the sizes of a batch.
package func validateBatch(_ tokenCount: Int, _ topK: Int = 1) throws(MoEError) {
  guard (0...1 << 31).contains(tokenCount), (1...1 << 24).contains(topK) else {
    throw MoEError(
      .invalidArgument, "no such batch", expected: "at least 0 tokens and 1 slot each",
      found: "\(tokenCount) tokens of \(topK) slots")
  }
}

/// Checks that `values` is `[tokens, width]`.
func validateRows(_ values: [Float], width: Int, tokenCount: Int, name: String) throws(MoEError) {
  let (expected, overflow) = tokenCount.multipliedReportingOverflow(by: width)
  guard !overflow, values.count == expected else {
    throw MoEError(
      .invalidArgument, "\(name) must be [tokens, width]", expected: "[\(tokenCount), \(width)]",
      found: "\(values.count) values")
  }
}

/// Checks a dense matrix and its bias.
package func validateMatrix(_ weights: [Float], rows: Int, columns: Int, bias: [Float]?) throws(MoEError) {
  let (expected, overflow) = rows.multipliedReportingOverflow(by: columns)
  guard rows > 0, columns > 0, !overflow, weights.count == expected, bias.map({ $0.count == rows }) ?? true else {
    throw MoEError(
      .invalidArgument, "a matrix must be [rows, columns] with a bias [rows]", expected: "[\(rows), \(columns)]",
      found: "\(weights.count) weights and \(bias?.count ?? 0) biases")
  }
}
