// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import Foundation
import MoE
import Testing

/// The commands beside `run`.
@Suite struct OtherCommandTests {
  @Test func doctorNamesTheInstructionSet() throws {
    let doctor = try Command(["doctor", "--json"], environment: ["MOE_ISA": "portable", "MOE_THREADS": "3"]).json()
    #expect(doctor["instruction_set"]?.string == "portable")
    #expect(doctor["threads"]?.integer == 3)
    #expect(try Command(["doctor"]).output.contains("processor"))
    let wrong = try Command(["doctor"], environment: ["MOE_ISA": "sse9"])
    #expect(wrong.status == 1)
    #expect(wrong.errors.contains("MOE_ISA"))
    for set in InstructionSet.allCases where set.isSupported {
      for precision in ["f32", "bf16", "int8"] {
        let product = doctor["products"]?[set.rawValue]?[precision]
        #expect(product?["instruction"]?.string?.isEmpty == false)
        #expect(product?["operations_per_second"]?.number ?? 0 > 0)
      }
    }
  }

  @Test func doctorWarmsDevicesOrSaysWhyNot() throws {
    let warmed = try Command(["doctor", "--warm"])
    let hasDevice = try Command(["doctor"]).output.contains("cuda:0")
    #expect(warmed.status == (hasDevice ? 0 : 1))
    #expect(hasDevice ? warmed.output.contains("files ready") : warmed.errors.contains("CUDA"))
  }

  @Test func doctorPretendsNodes() throws {
    let doctor = try Command(["doctor", "--json"], environment: ["MOE_TOPOLOGY": "1x1"]).json()
    #expect(doctor["nodes"]?.array?.count == 1)
    let wrong = try Command(["doctor"], environment: ["MOE_TOPOLOGY": "2"])
    #expect(wrong.status == 1 && wrong.errors.contains("MOE_TOPOLOGY"))
  }

  @Test func accuracyMeasuresEveryPrecision() throws {
    let small = ["accuracy", "--shape", "256,256,4,2", "--tokens", "1,14"]
    let result = try Command(small + ["--dtype", "bf16,int4-g32,q4_k", "--json"]).json()
    let rows = try #require(result["results"]?.array)
    #expect(rows.compactMap { $0["dtype"]?.string } == ["bf16", "int4-g32", "q4_k"])
    for row in rows {
      let errors = try ["f32", "bf16", "int8"].map { try #require(row["errors"]?[$0]?.number) }
      #expect(errors[0] < 1e-5 && (1e-4...0.005).contains(errors[1]) && (0.002...0.02).contains(errors[2]))
    }
    #expect(try Command(small + ["--dtype", "int5"]).status == 64)
  }

  @Test func synthWritesWhatInspectReads() throws {
    try withTemporaryFolder { folder in
      let path = folder + "/a/b"
      let made = try Command(["synth", "olmoe-1b-7b", "--layers", "2", "--experts", "8", "-o", path, "--json"])
      #expect(made.status == 0, "\(made.errors)")
      let inspected = try Command(["inspect", path, "--json"]).json()
      let layers = try #require(inspected["layers"]?.array)
      #expect(layers.compactMap { $0["index"]?.integer } == [0, 1])
      #expect(layers.allSatisfy { $0["experts"]?.integer == 8 && $0["hidden_size"]?.integer == 2048 })
      #expect(try made.json()["bytes"]?.integer == inspected["bytes"]?.integer)
      #expect(try Command(["inspect", path]).output.contains("OLMoE"))

      let again = try Command(["synth", "olmoe-1b-7b", "-o", path])
      #expect(again.status == 1)
      #expect(again.errors.contains("not empty"))
    }
  }

  /// A GGUF file as it is, and the folder that holds it beside other files.
  @Test(arguments: ["", "/model.gguf"])
  func inspectsAndRunsGGUF(name: String) throws {
    let path =
      URL(filePath: #filePath).deletingLastPathComponent().path() + "../Oracle/cases/gguf_llama_Q4_K_Q6_K" + name
    let inspected = try Command(["inspect", path, "--json"]).json()
    #expect(inspected["family"]?.string == "Mixtral")
    #expect(inspected["layers"]?.array?.first?["format"]?.string == "gate Q4_K, up Q4_K, down Q6_K")
    let run = try Command(["run", path])
    #expect(run.status == 0, "\(run.errors)")
    #expect(run.output.contains("softmax, normalised"))
  }

  @Test func sparseFilesTakeNoRoom() throws {
    try withTemporaryFolder { folder in
      let path = folder + "/deepseek"
      let made = try Command(["synth", "DeepSeek-V3", "--layers", "4", "--sparse", "-o", path])
      #expect(made.status == 0, "\(made.errors)")
      let inspected = try Command(["inspect", path, "--json"]).json()
      #expect(inspected["layers"]?.array?.compactMap { $0["index"]?.integer } == [3, 4, 5, 6])
      #expect(try #require(inspected["bytes"]?.integer) > 80_000_000_000)
      let files = try FileManager.default.contentsOfDirectory(atPath: path)
      #expect(files.contains("model.safetensors.index.json"))
    }
  }

  @Test(arguments: [["synth", "nothing", "-o", "x"], ["bench", "nothing"], ["inspect", "/nonexistent"]])
  func unknownThings(arguments: [String]) throws {
    let run = try Command(arguments)
    #expect(run.status == 1)
    #expect(run.errors.hasPrefix("moe: error: "))
  }

  @Test func presetsAreModels() throws {
    #expect(ModelPreset.all.count >= 7)
    for preset in ModelPreset.all {
      let model = try SyntheticModel(preset, layerCount: 1)
      #expect(!model.tensors.isEmpty, "\(preset.name)")
    }
  }
}
