// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Testing

/// √(Σ(a − b)² / Σb²); NaN where one value is, and infinite where the counts differ.
func relativeError(_ found: [Float], _ expected: [Float]) -> Double {
  guard found.count == expected.count else { return .infinity }
  var (difference, size) = (0.0, 0.0)
  for (a, b) in zip(found, expected) {
    difference += (Double(a) - Double(b)) * (Double(a) - Double(b))
    size += Double(b) * Double(b)
  }
  return difference == 0 ? 0 : (difference / size).squareRoot()
}

/// Demands that two arrays are close as a whole.
func expectClose(
  _ found: [Float], _ expected: [Float], bound: Double = 1e-5, _ what: String = "",
  sourceLocation: SourceLocation = #_sourceLocation
) {
  let error = relativeError(found, expected)
  #expect(error <= bound, "\(what): relative error \(error)", sourceLocation: sourceLocation)
}

/// Demands the same bits.
func expectSameBits(
  _ found: [Float], _ expected: [Float], _ what: String = "", sourceLocation: SourceLocation = #_sourceLocation
) {
  #expect(found.count == expected.count, "\(what)", sourceLocation: sourceLocation)
  let different = zip(found, expected).enumerated().first { $1.0.bitPattern != $1.1.bitPattern }
  #expect(different == nil, "\(what): element \(different?.offset ?? 0)", sourceLocation: sourceLocation)
}
