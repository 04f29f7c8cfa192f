// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import Foundation
import MoE
import MoEInspection
import Tensors
import TestSupport
import Testing

/// Traces: what is written is read back, what other engines write is read, and what has no meaning is refused.
@Suite struct LoadTraceTests {
  private let trace: LoadTrace

  init() throws {
    trace = try .simulated(
      layers: [3, 5], expertCount: 6, topK: 2, tokenCount: 40, stepCount: 4, distribution: .zipf(exponent: 1))
  }

  @Test(arguments: TraceFormat.allCases)
  func readsWhatItWrites(format: TraceFormat) throws {
    try withFolder { folder in
      let path = format == .trtllm ? folder : folder + (format == .sglang ? "/t.json" : "/t")
      try trace.write(to: path, as: format)
      let read = try LoadTrace(opening: path)
      #expect(read.steps == trace.steps)
      #expect(read.layers == (format == .moe || format == .trtllm ? [3, 5] : [0, 1]))
      #expect(read.topK == (format == .moe || format == .trtllm ? 2 : nil))
    }
  }

  /// Traces of different layers are one; of the same layers, or of other experts, they are not.
  @Test func merged() throws {
    let other = try LoadTrace.simulated(
      layers: [4, 0], expertCount: 6, topK: 2, tokenCount: 40, stepCount: 4, distribution: .uniform)
    let merged = try LoadTrace(merging: [trace, other])
    #expect(merged.layers == [0, 3, 4, 5] && merged.topK == 2 && merged.steps.count == 4)
    #expect(merged.totals == [other.totals[1], trace.totals[0], other.totals[0], trace.totals[1]])
    let wider = try LoadTrace.simulated(
      layers: [9], expertCount: 7, topK: 2, tokenCount: 40, stepCount: 4, distribution: .uniform)
    #expect(throws: MoEError.self) { try LoadTrace(merging: [trace, trace]) }
    let error = #expect(throws: MoEError.self) { try LoadTrace(merging: [trace, wider]) }
    #expect(error?.description.contains("4 steps, 7 experts") == true)
  }

  /// The narrowest type that holds all values.
  @Test(arguments: [(255.0, ElementType.u8), (256, .u16), (65536, .u32), (0.5, .f32), (0.1, .f64), (0x1p40, .f32)])
  func isSmallOnDisk(load: Double, type: ElementType) throws {
    try withFolder { folder in
      let trace = try LoadTrace(layerCount: 1, expertCount: 2, steps: [[load, 0]])
      try trace.write(to: folder + "/t")
      #expect(try TensorCatalog(opening: folder + "/t")["loads"]?.elementType == type)
      #expect(try LoadTrace(opening: folder + "/t") == trace)
    }
  }

  /// Plain loads of any type of numbers, `[layers, experts]`.
  @Test(arguments: [ElementType.i64, .i32, .u8, .f32, .f16, .bf16, .f64])
  func plainLoads(type: ElementType) throws {
    try withFolder { folder in
      let values: [Float] = [1, 2, 3, 40, 50, 60]
      let bytes =
        type.isEncodable
        ? type.encode(values)
        : values.flatMap { value in (0..<type.bitWidth / 8).map { $0 == 0 ? UInt8(value) : 0 } }
      try SafetensorsFile.write(tensors: [(TensorDeclaration("loads", type, [2, 3]), bytes)], to: folder + "/l")
      let read = try LoadTrace(opening: folder + "/l")
      #expect(read.totals == [[1, 2, 3], [40, 50, 60]])
    }
  }

  @Test func routedIDs() throws {
    try withFolder { folder in
      let ids: [Int32] = [0, 2, 2, -1, 1, 2]
      func write(_ metadata: [String: String]) throws -> String {
        let bytes = ids.flatMap { id in (0..<4).map { UInt8(truncatingIfNeeded: id >> ($0 * 8)) } }
        try SafetensorsFile.write(
          tensors: [(TensorDeclaration("topk_ids", .i32, [3, 2]), bytes)], to: folder + "/r", metadata: metadata)
        return folder + "/r"
      }
      let named = try LoadTrace(opening: write(["layer": "7", "experts": "4"]))
      #expect(named.layers == [7])
      #expect(named.topK == 2)
      #expect(named.steps == [[1, 1, 3, 0]])
      // The third id is a zero expert, which has no load.
      let zero = try LoadTrace(opening: write(["experts": "2", "zero_experts": "1"]))
      #expect(zero.steps == [[1, 1]])
      let path = try write([:])
      #expect(try LoadTrace(opening: path, .init(expertCount: 3, tokensPerStep: 2)).steps == [[1, 0, 2], [0, 1, 1]])
      expectFault("--experts") { try LoadTrace(opening: path) }
      expectFault("3 id(s) that are no expert") { try LoadTrace(opening: path, .init(expertCount: 2)) }
    }
  }

  /// vLLM's window of slots, where expert 1 has two.
  @Test func slotsBecomeExperts() throws {
    try withFolder { folder in
      func write(_ map: [UInt8]) throws {
        try SafetensorsFile.write(
          tensors: [
            (TensorDeclaration("expert_load_window", .u8, [2, 1, 3]), [1, 2, 3, 4, 5, 6]),
            (TensorDeclaration("physical_to_logical_map", .u8, [1, 3]), map),
          ], to: folder + "/w")
      }
      try write([1, 0, 1])
      #expect(try LoadTrace(opening: folder + "/w").steps == [[2, 4], [5, 10]])
      try SafetensorsFile.write(
        tensors: [
          (TensorDeclaration("expert_load_window", .u8, [1, 1, 1]), [1]),
          (TensorDeclaration("physical_to_logical_map", .i64, [1, 1]), Array(repeating: 255, count: 7) + [127]),
        ], to: folder + "/greatest")
      expectFault("no such placement") { try LoadTrace(opening: folder + "/greatest") }
      try write([1, 3, 1])
      expectFault("stand in no slot: found 0, 2") { try LoadTrace(opening: folder + "/w") }
    }
  }

  /// Counts of ranks add up; a step that lacks a layer is missed.
  @Test func countsOfRanks() throws {
    try withFolder { folder in
      func write(_ rank: String, _ tensors: [String: [UInt8]]) throws {
        try SafetensorsFile.write(
          tensors: tensors.sorted { $0.key < $1.key }.map {
            (TensorDeclaration($0.key, .u8, [$0.value.count]), $0.value)
          },
          to: folder + "/\(rank).safetensors")
      }
      try Data(#"{"num_experts": 2, "num_experts_per_token": 1}"#.utf8).write(
        to: URL(filePath: folder + "/meta_info.json"))
      try write("rank0", ["100_3": [1, 2], "101_3": [3, 4]])
      try write("rank1", ["100_3": [10, 20], "101_3": [30, 40]])
      try write("rank0_raw", ["nonsense": [1]])
      let read = try LoadTrace(opening: folder)
      #expect(read.steps == [[11, 22], [33, 44]])
      #expect(read.layers == [3])
      try write("rank1", ["100_4": [10, 20], "x": [1]])
      let error = expectFault("101_4") { try LoadTrace(opening: folder) }
      #expect(error.contains("STEP_LAYER"))
    }
  }

  @Test(arguments: [
    (#"{"logical_count": [[1, 2], [3]]}"#, "as many in every row"), (#"{"logical_count": [[1, "x"]]}"#, "numbers"),
    (#"{"logical_count": [[1, -2]]}"#, "found -2.0"), (#"{"logical_count": [[NaN, 1]]}"#, "found nan"),
    (#"{"other": 1}"#, "no loads"), (#"{"logical_count": []}"#, "no loads"),
    (#"{"logical_count": [[]]}"#, "without experts"),
  ])
  func malformedJSON(text: String, message: String) throws {
    try withFolder { folder in
      try Data(text.utf8).write(to: URL(filePath: folder + "/t.json"))
      expectFault(message) { try LoadTrace(opening: folder + "/t.json") }
    }
  }

  @Test func refusals() throws {
    let everything = expectFault("without steps") {
      try LoadTrace(layers: [1, 1], layerCount: 2, expertCount: 0, topK: 0, steps: [])
    }
    for part in ["without experts", "numbers of the layers", "top-k"] { #expect(everything.contains(part)) }
    let loads = expectFault("2 load(s) of step 0") {
      try LoadTrace(layerCount: 1, expertCount: 3, steps: [[1, -1, .nan], [1, 2]])
    }
    #expect(loads.contains("step 1 has another size"))
    expectFault("too great to be added") {
      try LoadTrace(layerCount: 1, expertCount: 2, steps: [[1e308, 1e308]])
    }
    try withFolder { folder in
      expectFault("no trace in this folder") { try LoadTrace(opening: folder) }
      try Data([0x80, 2, 0]).write(to: URL(filePath: folder + "/t.pt"))
      expectFault("pickle") { try LoadTrace(opening: folder + "/t.pt") }
      let half = try LoadTrace(layerCount: 1, expertCount: 1, steps: [[0.5]])
      expectFault("no counts of tokens") { try half.write(to: folder + "/x", as: .vllm) }
      #expect(!FileManager.default.fileExists(atPath: folder + "/x"))
    }
  }

  @Test func statistics() throws {
    let steps: [[Double]] = [[4, 0, 0, 0, 1, 1, 1, 1], [0, 4, 0, 0, 1, 1, 1, 1]]
    let statistics = try LoadTrace(layerCount: 2, expertCount: 4, steps: steps).statistics(window: 1)
    #expect(statistics[0].imbalance == 2)
    #expect(statistics[0].entropy == 0.5)
    #expect(statistics[0].drift == 1)
    #expect(statistics[0].idleCount == 2)
    #expect(statistics[1].imbalance == 1)
    #expect(statistics[1].entropy == 1)
    #expect(statistics[1].drift == 0)
    let idle = try LoadTrace(layerCount: 1, expertCount: 1, steps: [[0]]).statistics(window: 9)
    #expect(idle[0].drift == nil)
    #expect(idle[0].entropy == 1)
  }

  @Test func recorder() throws {
    var recorder = TraceRecorder(layers: [4], expertCount: 3, topK: 2, every: 2)
    let routing = try Routing(topK: 2, ids: [0, 2, -1, 1], weights: [1, 1, 1, 1])
    for tokens in [nil, 1, 1] as [Int?] {
      recorder.record(routing, layer: 0, tokenCount: tokens)
      recorder.finishStep()
    }
    #expect(try recorder.trace() == LoadTrace(layers: [4], layerCount: 1, expertCount: 3, topK: 2, steps: [[2, 1, 2]]))
  }
}

/// A folder that is gone afterwards.
func withFolder(_ body: (String) throws -> Void) throws {
  let folder = try TemporaryFolder()
  try withExtendedLifetime(folder) { try body(folder.path) }
}

/// Demands an error that says a text.
///
/// - Returns: all that it says.
@discardableResult
func expectFault<Value>(
  _ text: String, sourceLocation: SourceLocation = #_sourceLocation, _ body: () throws -> Value
) -> String {
  let error = #expect(throws: MoEError.self, sourceLocation: sourceLocation) { _ = try body() }
  let message = error?.description ?? ""
  #expect(message.contains(text), "no “\(text)” in: \(message)", sourceLocation: sourceLocation)
  return message
}
