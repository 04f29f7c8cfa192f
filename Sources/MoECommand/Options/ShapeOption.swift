// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import ArgumentParser
import Checkpoints
import MoE
import Tensors

/// `H,I,E,k`: the sizes of a layer of experts.
struct ExpertShape: ExpressibleByArgument, Sendable {
  var hiddenSize: Int
  var intermediateSize: Int
  var expertCount: Int
  var topK: Int

  init?(argument: String) {
    let numbers = argument.split(separator: ",", omittingEmptySubsequences: false).map { Int($0) }
    guard numbers.count == 4, let hidden = numbers[0], let intermediate = numbers[1], let experts = numbers[2],
      let topK = numbers[3], [hidden, intermediate, experts].allSatisfy({ (1...1 << 20).contains($0) }),
      (1...experts).contains(topK)
    else { return nil }
    (hiddenSize, intermediateSize, expertCount, self.topK) = (hidden, intermediate, experts, topK)
  }

  init(_ preset: ModelPreset) throws(MoEError) {
    let configuration = ModelConfiguration(.object(preset.configuration), file: preset.name)
    hiddenSize = try configuration.required(.hiddenSize)
    intermediateSize = try configuration.required(.intermediateSize)
    expertCount = try configuration.required(.expertCount)
    topK = try configuration.required(.topK)
  }

  /// `H,I,E,k` or the name of a preset.
  init(parsing text: String) throws(MoEError) {
    if let shape = Self(argument: text) {
      self = shape
    } else if let preset = ModelPreset(named: text) {
      try self.init(preset)
    } else {
      throw MoEError(
        .invalidArgument, "no such shape", subject: "--shape",
        expected: "H,I,E,k or one of \(ModelPreset.all.map(\.name).joined(separator: ", "))", found: text)
    }
  }

  var description: String { "\(hiddenSize),\(intermediateSize),\(expertCount),\(topK)" }
}

/// `1,8,64,512`: numbers of tokens.
struct TokenCounts: ExpressibleByArgument, Sendable {
  var counts: [Int]

  init(_ counts: [Int]) { self.counts = counts }

  init?(argument: String) {
    let numbers = argument.split(separator: ",", omittingEmptySubsequences: false).map { Int($0) }
    guard !numbers.isEmpty, numbers.allSatisfy({ $0.map { (1...1 << 20).contains($0) } ?? false }) else { return nil }
    counts = numbers.map { $0! }
  }

  var defaultValueDescription: String { counts.map(String.init).joined(separator: ",") }
}
