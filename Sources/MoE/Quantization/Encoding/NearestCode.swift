// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// The code of the nearest value of a code book; between two values, the lower one.
struct NearestCode {
  /// Codes in the order of their values.
  private let codes: [UInt8]
  /// The middles between neighbours.
  private let middles: [Float]

  init(_ codebook: [Float]) {
    let order = codebook.indices.sorted { (codebook[$0], $1) < (codebook[$1], $0) }
    codes = order.map { UInt8($0) }
    middles = zip(order, order.dropFirst()).map { (codebook[$0] + codebook[$1]) / 2 }
  }

  @inline(__always)
  func code(_ value: Float) -> UInt8 {
    var place = 0
    for middle in middles { place &+= value > middle ? 1 : 0 }
    return codes[place]
  }
}
