// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import Foundation
import Tensors
import Testing

/// `moe balance` and `moe trace`.
@Suite struct BalanceCommandTests {
  /// DeepSeek's published example, as whole numbers of a file.
  private func writeExample(_ path: String, _ type: ElementType = .u8) throws {
    let loads: [UInt8] = [
      90, 132, 40, 61, 104, 165, 39, 4, 73, 56, 183, 86, 20, 107, 104, 64, 19, 197, 187, 157, 172, 86, 16, 27,
    ]
    let bytes = type == .u8 ? loads : type.encode(loads.map(Float.init))
    try SafetensorsFile.write(tensors: [(TensorDeclaration("loads", type, [2, 12]), bytes)], to: path)
  }

  /// The map that DeepSeek's README prints.
  private static let published: [[Int]] = [
    [5, 6, 5, 7, 8, 4, 3, 4, 10, 9, 10, 2, 0, 1, 11, 1], [7, 10, 6, 8, 6, 11, 8, 9, 2, 4, 5, 1, 5, 0, 3, 1],
  ]

  @Test(arguments: [ElementType.u8, .f32, .f64])
  func publishedExample(type: ElementType) throws {
    try withTemporaryFolder { folder in
      try writeExample(folder + "/loads.safetensors", type)
      let run = try Command([
        "balance", folder + "/loads.safetensors", "--ranks", "8", "--nodes", "2", "--groups", "4", "--slots", "16",
        "-o",
        folder + "/place.json", "--json",
      ])
      #expect(run.status == 0, "\(run.errors)")
      let file = try JSONValue(parsing: Array(Data(contentsOf: URL(filePath: folder + "/place.json"))))
      for object in [try run.json(), file] {
        let map = object["physical_to_logical"]?.array?.map { $0.array?.compactMap(\.integer) ?? [] }
        #expect(map == Self.published)
        #expect(object["replica_counts"]?[0]?.array?.compactMap(\.integer) == [1, 2, 1, 1, 2, 2, 1, 1, 1, 1, 2, 1])
        #expect(object["logical_to_physical"]?[0]?[1]?.array?.compactMap(\.integer) == [13, 15])
        let (before, after) = (object["balancedness_before"]?.number, object["balancedness_after"]?.number)
        #expect(try #require(before) < 0.5)
        #expect(try #require(after) > 0.8)
      }
      // From there, nothing has to move.
      let again = try Command([
        "balance", folder + "/loads.safetensors", "--ranks", "8", "--nodes", "2", "--groups", "4", "--redundant", "4",
        "--from", folder + "/place.json", "--policy", "least-move", "--shape", "DeepSeek-V3",
      ])
      #expect(again.status == 0, "\(again.errors)")
      #expect(again.output.contains("none between ranks"))
    }
  }

  @Test func bytesAndTimes() throws {
    try withTemporaryFolder { folder in
      try writeExample(folder + "/l")
      let run = try Command([
        "balance", folder + "/l", "--ranks", "4", "--shape", "64,32,12,2", "--dtype", "f32", "--json", "--svg",
        folder + "/p.svg",
      ])
      let object = try run.json()
      let experts = try #require(object["moved_experts"]?.integer)
      let moves = try #require(object["moves"]?.array)
      #expect(experts > 0)
      #expect(object["bytes_per_expert"]?.integer == 3 * 64 * 32 * 4)
      #expect(moves.reduce(0) { $0 + ($1["bytes"]?.integer ?? 0) } == experts * 3 * 64 * 32 * 4)
      #expect(object["payback_steps"]?.integer ?? 0 > 0)
      #expect(try String(contentsOfFile: folder + "/p.svg", encoding: .utf8).contains("<svg"))
    }
  }

  @Test func everyFaultAndNoFile() throws {
    try withTemporaryFolder { folder in
      try writeExample(folder + "/l")
      let run = try Command([
        "balance", folder + "/l", "--ranks", "6", "--nodes", "4", "--slots", "16", "--policy", "best", "--from",
        folder + "/none.json", "-o", folder + "/p.json",
      ])
      #expect(run.status == 1)
      for part in ["no such policy", "slots don't divide", "don't divide over the nodes", "none.json"] {
        #expect(run.errors.contains(part), "\(run.errors)")
      }
      #expect(!FileManager.default.fileExists(atPath: folder + "/p.json"))
      try Data(#"{"physical_to_logical": [[0, 1]], "ranks": 2, "experts": 2}"#.utf8).write(
        to: URL(filePath: folder + "/old.json"))
      let other = try Command(["balance", folder + "/l", "--ranks", "4", "--from", folder + "/old.json"])
      #expect(other.status == 1)
      #expect(other.errors.contains("stand in no slot"), "\(other.errors)")
    }
  }

  @Test(arguments: [
    ["balance"], ["balance", "l"], ["balance", "l", "--ranks", "2", "--slots", "4", "--redundant", "1"],
    ["balance", "l", "--ranks", "2", "--redundant", "99999999"], ["balance", "l", "--ranks", "2", "--slots", "-1"],
    ["balance", "--simulate", "t"], ["balance", "--simulate", "t", "--ranks", "2", "-o", "x"],
    ["balance", "l", "--ranks", "2", "--tokens", "0"], ["trace", "stat", "t", "--window", "0"],
    ["trace", "export", "t", "--as", "x", "-o", "y"],
  ])
  func wrongUsage(arguments: [String]) throws {
    let run = try Command(arguments)
    #expect(run.status == 64)
    #expect(run.errors.contains("moe: error: "), "\(run.errors)")
  }

  /// Loads become a trace, a dump and a trace again, are looked at, and replayed.
  @Test func traces() throws {
    try withTemporaryFolder { folder in
      try writeExample(folder + "/l")
      #expect(try Command(["trace", "import", folder + "/l", "-o", folder + "/t.moetrace"]).status == 0)
      let export = try Command(["trace", "export", folder + "/t.moetrace", "--as", "trtllm", "-o", folder + "/dump"])
      #expect(export.status == 0, "\(export.errors)")
      let stat = try Command(["trace", "stat", folder + "/dump", "--json"]).json()
      #expect(stat["layers"]?.array?.count == 2)
      #expect(stat["layers"]?[0]?["busiest"]?.integer == 10)
      #expect(try Command(["trace", "stat", folder + "/dump", "--ascii"]).output.contains("layer 1"))
      let replay = try Command([
        "balance", "--simulate", folder + "/dump", "--ranks", "8", "--redundant", "4", "--json",
      ])
      .json()
      #expect(replay["rank_loads"]?.array?.count == 8)
      let both = try Command([
        "balance", folder + "/l", "--ranks", "8", "--redundant", "4", "--simulate", folder + "/dump", "--json",
      ]).json()
      #expect(both["simulated_balancedness_before"] == replay["balancedness"])
      #expect(both["simulated_balancedness_after"]?.number ?? 0 > replay["balancedness"]?.number ?? 1)
    }
  }

  /// What `moe run` writes is a trace of its layer; those of all layers are a trace of the model.
  @Test func routedIDsOfARun() throws {
    try withTemporaryFolder { folder in
      let checkpoint = folder + "/model"
      #expect(try Command(["synth", "OLMoE-1B-7B", "--layers", "2", "--experts", "8", "-o", checkpoint]).status == 0)
      for layer in ["0", "1"] {
        let run = try Command([
          "run", checkpoint, "--layer", layer, "--input", checkpoint + "/model.safetensors", "--tensor",
          "model.layers.0.mlp.gate.weight", "--output", folder + "/\(layer).safetensors",
        ])
        #expect(run.status == 0, "\(run.errors)")
      }
      let files = ["0", "1"].map { folder + "/\($0).safetensors" }
      #expect(try Command(["trace", "import"] + files + ["-o", folder + "/t.moetrace"]).status == 0)
      let stat = try Command(["trace", "stat", folder + "/t.moetrace", "--json"]).json()
      #expect(stat["experts"]?.integer == 8)
      #expect(stat["layers"]?.array?.map { $0["load"]?.number } == [64, 64])
    }
  }
}
