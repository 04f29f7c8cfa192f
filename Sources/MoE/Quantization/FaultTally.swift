// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Tensors

/// Kinds of wrong values, each with the first place and the number of places: one fault for each kind.
struct FaultTally {
  private var order: [String] = []
  private var kinds: [String: (expected: String, first: String, count: Int)] = [:]

  mutating func note(_ message: String, expected: String = "a finite number", _ found: @autoclosure () -> String) {
    if kinds[message] == nil {
      order.append(message)
      kinds[message] = (expected, found(), 0)
    }
    kinds[message]!.count += 1
  }

  var faults: [Fault] {
    order.map { message in
      let (expected, first, count) = kinds[message]!
      let more = count > 1 ? ", and \(count - 1) more" : ""
      return Fault(.invalidValue, message, expected: expected, found: first + more)
    }
  }
}
