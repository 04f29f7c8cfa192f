// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import Tensors

/// Something wrong with the values of a tensor of a projection.
public struct ValueFault: Sendable, Hashable {
  public var role: TensorRole
  public var fault: Fault

  public init(_ role: TensorRole, _ fault: Fault) {
    self.role = role
    self.fault = fault
  }
}

/// Kinds of wrong values, each with the first place and the number of places: one fault for each kind.
struct FaultTally {
  private var order: [String] = []
  private var kinds: [String: (role: TensorRole, expected: String, first: String, count: Int)] = [:]

  mutating func note(
    _ role: TensorRole, _ message: String, expected: String = "a finite number", _ found: @autoclosure () -> String
  ) {
    if kinds[message] == nil {
      order.append(message)
      kinds[message] = (role, expected, found(), 0)
    }
    kinds[message]!.count += 1
  }

  var faults: [ValueFault] {
    order.map { message in
      let (role, expected, first, count) = kinds[message]!
      let more = count > 1 ? ", and \(count - 1) more" : ""
      return ValueFault(role, Fault(.invalidValue, message, expected: expected, found: first + more))
    }
  }
}
