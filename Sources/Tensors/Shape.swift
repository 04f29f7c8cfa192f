// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// The extents of a row-major tensor, outermost first. `[]` is a scalar of one element.
public struct Shape: Sendable, Hashable {
  public var dimensions: [Int]

  public init(_ dimensions: [Int]) { self.dimensions = dimensions }

  public var rank: Int { dimensions.count }

  public subscript(axis: Int) -> Int { dimensions[axis] }

  /// The number of elements, or nil when it overflows `Int` or an extent is negative.
  public var elementCount: Int? {
    var count = 1
    for extent in dimensions {
      let (product, overflow) = count.multipliedReportingOverflow(by: extent)
      if overflow || extent < 0 { return nil }
      count = product
    }
    return count
  }
}

extension Shape: ExpressibleByArrayLiteral {
  public init(arrayLiteral elements: Int...) { self.init(elements) }
}

extension Shape: CustomStringConvertible {
  public var description: String {
    "[" + dimensions.map(String.init).joined(separator: ", ") + "]"
  }
}
