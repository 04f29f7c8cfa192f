// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import FuzzTargets
import Foundation
import Testing

/// Damaged inputs: each must be read or refused, and never end the process.
///
/// `MOE_FUZZ_INPUTS` is the number of inputs (20,000), `MOE_FUZZ_SEED` the first seed (0): a seed and a number give an input
/// back. `scripts/fuzz` feeds the same targets by what of their code is reached.
@Suite struct FuzzTests {
  static let inputCount = environment("MOE_FUZZ_INPUTS") ?? 20_000
  static let seed = environment("MOE_FUZZ_SEED") ?? 0

  private static func environment(_ name: String) -> Int? {
    ProcessInfo.processInfo.environment[name].flatMap { Int($0) }
  }

  /// The stored inputs, which tests begin with: valid ones, and what was found once, whose names begin with `bad`.
  @Test(arguments: FuzzTarget.all.map(\.name))
  func corpus(target name: String) throws {
    let target = try #require(FuzzTarget.all.first { $0.name == name })
    for (file, bytes) in Corpus.inputs(of: name) {
      #expect(target.read(bytes) == (file.hasPrefix("bad") ? .refused : .accepted), "\(name)/\(file)")
    }
  }

  /// Readers of text take longer, and models longer still.
  private static let shares = ["safetensors": 16, "index": 8, "config": 1, "quantization": 1, "gguf": 32]

  @Test(arguments: FuzzTarget.all.map(\.name))
  func damaged(target name: String) throws {
    let target = try #require(FuzzTarget.all.first { $0.name == name })
    let corpus = Corpus.inputs(of: name).map(\.bytes)
    var outcomes: [FuzzTarget.Outcome: Int] = [:]
    for number in 0..<Self.inputCount * Self.shares[name]! / 64 {
      var mutator = Mutator(seed: UInt64(Self.seed) << 32 + UInt64(number), isText: name != "gguf")
      let input = mutator.mutated(corpus.randomElement(using: &mutator.generator)!)
      let outcome = target.read(input)
      outcomes[outcome, default: 0] += 1
      if case .wrong(let reason) = outcome { Issue.record("\(reason), input \(number): \(input)") }
    }
    // The damage must reach both sides, or it tests nothing.
    let (accepted, refused) = (outcomes[.accepted] ?? 0, outcomes[.refused] ?? 0)
    #expect(accepted > 0 && refused > accepted / 10)
    print("fuzz \(name): \(accepted) accepted, \(refused) refused")
  }
}
