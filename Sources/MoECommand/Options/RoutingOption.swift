// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import ArgumentParser
import MoE

/// `uniform`, `zipf:S` or `trace:FILE`: where a benchmark's routing comes from.
enum RoutingOption: ExpressibleByArgument, Sendable {
  case simulated(SimulatedRouter.Distribution)
  case trace(String)

  init?(argument: String) {
    let parts = argument.split(separator: ":", maxSplits: 1).map(String.init)
    switch (parts.first, parts.count) {
    case ("uniform", 1): self = .simulated(.uniform)
    case ("zipf", 2):
      guard let exponent = Double(parts[1]), exponent >= 0, exponent.isFinite else { return nil }
      self = .simulated(.zipf(exponent: exponent))
    case ("trace", 2): self = .trace(parts[1])
    default: return nil
    }
  }

  var defaultValueDescription: String { "uniform" }

  /// Routings of batches of a size, each another one.
  func routings(expertCount: Int, topK: Int, tokenCount: Int, count: Int) throws -> [Routing] {
    switch self {
    case .simulated(let distribution):
      return try (0..<count).map { index in
        try SimulatedRouter(
          expertCount: expertCount, topK: topK, distribution: distribution, seed: UInt64(index + 1)
        ).route(tokenCount: tokenCount)
      }
    case .trace(let path):
      let trace = try RoutingFile.read(path)
      try trace.validate(idCount: expertCount)
      guard trace.tokenCount > 0 else {
        throw MoEError(.invalidValue, "the trace has no tokens", file: path)
      }
      return try (0..<count).map { index in
        let slots = (0..<tokenCount).flatMap { trace.slots(of: (index * tokenCount + $0) % trace.tokenCount) }
        return try Routing(
          topK: trace.topK, ids: slots.map { trace.ids[$0] }, weights: slots.map { trace.weights[$0] })
      }
    }
  }
}
