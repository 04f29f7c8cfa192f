// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import ArgumentParser
import MoE
import MoEInspection

/// What a file of routed ids doesn't say, and what made-up loads are made from.
struct LoadOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Experts, for files of routed ids that don't say.", valueName: "count"))
  var experts: Int?

  @Option(help: ArgumentHelp("Tokens that make a step, for files of routed ids.", valueName: "count"))
  var tokensPerStep: Int?

  func open(_ path: String) throws(MoEError) -> LoadTrace {
    try LoadTrace(opening: path, .init(expertCount: experts, tokensPerStep: tokensPerStep))
  }

  /// A file, or `uniform` or `zipf:S` for loads of a layer that are drawn so.
  ///
  /// - Parameter tokenCount: of a step.
  func open(_ source: String, shape: ExpertShape?, tokenCount: Int) throws(MoEError) -> LoadTrace {
    guard case .simulated(let distribution) = RoutingOption(argument: source) else { return try open(source) }
    guard let shape else {
      throw MoEError(
        .invalidArgument, "made-up loads need the sizes of a layer", subject: source, remedy: "give --shape")
    }
    return try .simulated(
      layers: Array(0..<4), expertCount: shape.expertCount, topK: shape.topK, tokenCount: tokenCount,
      distribution: distribution)
  }
}
