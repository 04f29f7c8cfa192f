// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import Foundation
import Tensors
import Testing

/// `moe run` on files.
@Suite struct RunTests {
  static let mixtral = Fixtures.path("arch_mixtral")

  /// The arguments that run a layer of a fixture on its recorded input.
  static func arguments(_ folder: String, layer: Int, output: String, backend: String = "cpu") -> [String] {
    [
      "run", folder, "--layer", "\(layer)", "--input", folder + "/oracle.safetensors", "--tensor",
      "layers.\(layer).input", "--output", output, "--backend", backend,
    ]
  }

  @Test(arguments: ["cpu", "reference"])
  func writesWhatTheOracleSays(backend: String) throws {
    try withTemporaryFolder { folder in
      let output = folder + "/y.safetensors"
      let run = try Command(Self.arguments(Self.mixtral, layer: 1, output: output, backend: backend))
      #expect(run.status == 0, "\(run.errors)")
      let oracle = try TensorCatalog(opening: Self.mixtral + "/oracle.safetensors")
      let found = try TensorCatalog(opening: output)
      #expect(found.records.map(\.name) == ["output", "routed_output", "topk_ids", "topk_weights"])
      #expect(found["topk_ids"]?.elementType == .i32)
      #expect(found["topk_ids"]?.shape == [16, 2])
      let expected = try oracle.floats(of: #require(oracle["layers.1.block_output"]))
      let values = try found.floats(of: #require(found["output"]))
      #expect(values.count == expected.count)
      #expect(zip(values, expected).allSatisfy { abs($0 - $1) <= 1.1e-4 + 1e-4 * abs($1) })
    }
  }

  @Test func replaysARoutingAndReadsLogits() throws {
    try withTemporaryFolder { folder in
      let (first, second) = (folder + "/1.safetensors", folder + "/2.safetensors")
      #expect(try Command(Self.arguments(Self.mixtral, layer: 0, output: first)).status == 0)
      let replay = try Command(Self.arguments(Self.mixtral, layer: 0, output: second) + ["--routing", first])
      #expect(replay.status == 0, "\(replay.errors)")
      #expect(try Data(contentsOf: URL(filePath: first)) == Data(contentsOf: URL(filePath: second)))

      // Logits that want experts 3 and 5 of every token.
      let logits = (0..<16).flatMap { _ in (0..<8).map { $0 == 3 || $0 == 5 ? Float(4) : 0 } }
      let hidden = (0..<16 * 64).map { Float($0 % 7) - 3 }
      let input = folder + "/x.safetensors"
      try SafetensorsFile.write(
        tensors: [
          (TensorDeclaration("hidden_states", .f16, [16, 64]), bytes: ElementType.f16.encode(hidden)),
          (TensorDeclaration("logits", .f32, [16, 8]), bytes: ElementType.f32.encode(logits)),
        ], to: input)
      let routed = try Command([
        "run", Self.mixtral, "--layer", "0", "--input", input, "--router-logits", "logits", "-o", second, "--json",
      ])
      #expect(routed.status == 0, "\(routed.errors)")
      #expect(try routed.json()["tokens"]?.integer == 16)
      let found = try TensorCatalog(opening: second)
      #expect(try Set(found.integers(of: #require(found["topk_ids"]))) == [3, 5])
      #expect(try found.floats(of: #require(found["topk_weights"])).allSatisfy { $0 == 0.5 })
    }
  }

  /// Without quantised activations, as declared is as they are, on every backend.
  @Test func declaredActivations() throws {
    try withTemporaryFolder { folder in
      for backend in ["cpu", "reference"] {
        let files = try ["f32", "declared"].map { activations in
          let output = folder + "/\(activations).safetensors"
          let arguments = Self.arguments(Self.mixtral, layer: 0, output: output, backend: backend)
          let run = try Command(arguments + ["--activations", activations])
          #expect(run.status == 0, "\(run.errors)")
          return try Data(contentsOf: URL(filePath: output))
        }
        #expect(files[0] == files[1])
      }
    }
    let inspected = try Command(["inspect", Fixtures.path("q_ct_w3a16_g128_mixtral")])
    #expect(inspected.output.contains("W3A16"), "\(inspected.errors)")
  }

  @Test func routesByTokenID() throws {
    let folder = Fixtures.path("arch_deepseek_v4")
    try withTemporaryFolder { temporary in
      let arguments = Self.arguments(folder, layer: 0, output: temporary + "/y.safetensors")
      let without = try Command(arguments)
      #expect(without.status == 1)
      #expect(without.errors.contains("token ids"))
      #expect(try Command(arguments + ["--token-ids", "layers.0.input_ids"]).status == 0)
    }
  }

  /// What is wrong, and what the one line that says so must name.
  static let mistakes: [(arguments: [String], words: [String])] = [
    (["--layer", "7"], ["layer 7", "0, 1"]),
    (["--tensor", "nothing"], ["nothing", "layers.0.input"]),
    (["--tensor", "layers.0.topk_weights"], ["layers.0.topk_weights", "[tokens, 64]", "[16, 2]"]),
    (["--tensor", "layers.0.topk_ids"], ["layers.0.topk_ids"]),
    (["--router-logits", "layers.0.input"], ["layers.0.input", "[tokens, 8]"]),
    (["--routing", fixtureConfiguration], ["config.json"]),
    (["--output", "/nonexistent/folder/y.safetensors"], ["/nonexistent/folder"]),
    (["--backend", "cuda:0"], ["cuda:0", "cpu"]),
    (["--activations", "fp8"], ["fp8"]),
  ]
  private static let fixtureConfiguration = Fixtures.path("arch_mixtral/config.json")

  @Test(arguments: mistakes.indices)
  func mistakesAreOneLineAndLeaveNothing(index: Int) throws {
    let (arguments, words) = Self.mistakes[index]
    try withTemporaryFolder { folder in
      let output = folder + "/y.safetensors"
      let run = try Command(Self.arguments(Self.mixtral, layer: 0, output: output) + arguments)
      #expect(run.status == 1)
      #expect(run.output.isEmpty)
      let lines = run.errors.split(separator: "\n")
      #expect(lines.count == 1 || lines.dropLast().allSatisfy { !$0.hasPrefix("moe: error") }, "\(run.errors)")
      #expect(lines.last?.hasPrefix("moe: error: ") == true, "\(run.errors)")
      for word in words { #expect(run.errors.contains(word), "\(run.errors) names \(word)") }
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
    }
  }

  @Test(arguments: [
    ["run", "--input", "x"], ["run", "x", "--output", "y"], ["bench"], ["bench", "--shape", "1,2,3"],
    ["bench", "OLMoE-1B-7B", "--dtype", "int3"], ["nothing"], ["run", "--backend", "tpu"], ["run", "--threads", "0"],
    ["check", "x", "--threads", "0"], ["verify", "x", "--against", "y", "--threads", "4097"], ["synth", "OLMoE-1B-7B"],
  ])
  func wrongUsage(arguments: [String]) throws {
    let run = try Command(arguments)
    #expect(run.status == 64, "\(run.errors)")
    #expect(run.errors.hasPrefix("moe: error: "), "\(run.errors)")
  }

  @Test func ranksAreRefused() throws {
    let run = try Command(["run"], environment: ["OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": "0"])
    #expect(run.status == 1)
    #expect(run.errors.contains("4 ranks"))
  }
}
