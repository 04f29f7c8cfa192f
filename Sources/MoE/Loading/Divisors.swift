// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

package func greatestCommonDivisor(_ a: Int, _ b: Int) -> Int {
  var (a, b) = (a, b)
  while b != 0 { (a, b) = (b, a % b) }
  return a
}

/// - Precondition: both are above 0, and the product can be counted.
package func leastCommonMultiple(_ a: Int, _ b: Int) -> Int { a / greatestCommonDivisor(a, b) * b }
