// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import Foundation
import Tensors
import Testing

/// Damaged inputs: each must open or throw `CheckpointError`, and never end the process.
///
/// `MOE_FUZZ_INPUTS` is the number of inputs (20,000), `MOE_FUZZ_SEED` the first seed (0); `docs/robustness.md` has the
/// figures of the long run. What is accepted is checked again by rules of its own, so that a parser that accepts
/// everything fails here.
@Suite struct FuzzTests {
  static let inputCount = environment("MOE_FUZZ_INPUTS") ?? 20_000
  static let seed = environment("MOE_FUZZ_SEED") ?? 0
  /// Each input belongs to one of the runs, by the remainder of its number.
  static let runs = 0..<4

  private static func environment(_ name: String) -> Int? {
    ProcessInfo.processInfo.environment[name].flatMap { Int($0) }
  }

  @Test(arguments: runs)
  func fuzz(run: Int) throws {
    var outcomes = Outcomes()
    for number in stride(from: run, to: Self.inputCount, by: Self.runs.count) {
      var mutator = Mutator(seed: UInt64(Self.seed) << 32 + UInt64(number))
      switch number / Self.runs.count % 4 {
      case 0, 1: fuzzHeader(&mutator, &outcomes)
      case 2: fuzzIndex(&mutator, &outcomes)
      default: fuzzConfiguration(&mutator, &outcomes)
      }
    }
    // The mutations must reach both sides, or they test nothing.
    #expect(outcomes.accepted > 0 && outcomes.refused > outcomes.accepted / 10, "\(outcomes)")
    print("fuzz run \(run): \(outcomes.accepted) accepted, \(outcomes.refused) refused")
  }

  /// A folder with a damaged index, shard or configuration, by the way of a user.
  @Test func fuzzFolders() throws {
    let folder = try TemporaryFolder()
    let shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    try folder.writeTensors(["a", "b"], shards[0])
    try folder.writeTensors(["c"], shards[1])
    try folder.writeIndex(["a": shards[0], "b": shards[0], "c": shards[1]], totalSize: 36)
    try folder.write(Corpus.configuration, "config.json")
    let names = try folder.names()
    let originals = try names.map { try [UInt8](Data(contentsOf: URL(fileURLWithPath: folder[$0]))) }
    for number in 0..<max(200, Self.inputCount / 1000) {
      var mutator = Mutator(seed: UInt64(Self.seed) << 32 + UInt64(number))
      let victim = number % names.count
      try folder.write(mutator.mutated(originals[victim]), names[victim])
      do throws(CheckpointError) {
        let checkpoint = try Checkpoint(opening: folder.path)
        for record in checkpoint.catalog.records { _ = try checkpoint.catalog.bytes(of: record) }
      } catch {
        #expect(!error.description.isEmpty)
      }
      try folder.write(originals[victim], names[victim])
    }
    #expect(throws: Never.self) { try Checkpoint(opening: folder.path) }
  }

  private func fuzzHeader(_ mutator: inout Mutator, _ outcomes: inout Outcomes) {
    let original = Corpus.headers.randomElement(using: &mutator.generator)!
    var image = original.image
    var fileSize = image.count + original.dataSize
    if Int.random(in: 0..<8, using: &mutator.generator) == 0 {
      image = mutator.mutated(image)  // the length, too
    } else {
      image = safetensors(mutator.mutated(Array(image.dropFirst(8))))
      fileSize = image.count + original.dataSize
    }
    if Int.random(in: 0..<16, using: &mutator.generator) == 0 {
      fileSize = mutator.number.map { $0 < 0 ? 0 : $0 } ?? 0
    }
    do throws(CheckpointError) {
      let header = try SafetensorsHeader(parsing: image, fileSize: fileSize, file: "fuzz")
      outcomes.accepted += 1
      if let violation = violation(of: header, fileSize: fileSize) {
        Issue.record("\(violation) in \(String(decoding: image.dropFirst(8), as: UTF8.self))")
      }
    } catch {
      outcomes.refused += 1
      check(error)
    }
  }

  private func fuzzIndex(_ mutator: inout Mutator, _ outcomes: inout Outcomes) {
    let text = mutator.mutated(Corpus.index)
    do throws(CheckpointError) {
      let index = try ShardIndex(parsing: text, file: "fuzz")
      outcomes.accepted += 1
      let areFilesSafe = index.files.allSatisfy { !$0.hasPrefix("/") && !$0.split(separator: "/").contains("..") }
      let areSorted = zip(index.entries, index.entries.dropFirst()).allSatisfy { $0.tensor < $1.tensor }
      if !areFilesSafe || !areSorted || !index.entries.allSatisfy({ index.files.indices.contains($0.file) }) {
        Issue.record("accepted: \(String(decoding: text, as: UTF8.self))")
      }
    } catch {
      outcomes.refused += 1
      check(error)
    }
  }

  private func fuzzConfiguration(_ mutator: inout Mutator, _ outcomes: inout Outcomes) {
    let text = mutator.mutated(Array(Corpus.configuration.utf8))
    do throws(CheckpointError) {
      let value = try JSONValue(parsing: text, file: "fuzz")
      outcomes.accepted += 1
      // What was understood can be written and understood again.
      if try JSONValue(parsing: Array(value.serialized().utf8)) != value {
        Issue.record("no round trip: \(String(decoding: text, as: UTF8.self))")
      }
    } catch {
      outcomes.refused += 1
      check(error)
    }
  }

  private func check(_ error: CheckpointError) {
    if !error.faults.allSatisfy({ $0.file != nil && !$0.message.isEmpty }) {
      Issue.record("a fault without a place: \(error)")
    }
  }

  /// The rules of the format once more, by counting: every byte of the data belongs to one tensor.
  private func violation(of header: SafetensorsHeader, fileSize: Int) -> String? {
    var sum = 0
    var position = header.dataOffset
    for tensor in header.tensors.sorted(by: { ($0.offset, $0.byteCount) < ($1.offset, $1.byteCount) }) {
      guard tensor.offset == position else { return "hole or overlap at \(tensor.name)" }
      var bits: UInt64 = UInt64(tensor.elementType.bitWidth)
      for extent in tensor.shape.dimensions {
        guard extent >= 0 else { return "negative extent in \(tensor.name)" }
        bits = bits.multipliedReportingOverflow(by: UInt64(extent)).partialValue
      }
      guard bits % 8 == 0, bits / 8 == UInt64(tensor.byteCount) else { return "size of \(tensor.name)" }
      position += tensor.byteCount
      sum += tensor.byteCount
    }
    if header.dataOffset + sum != fileSize { return "end of the file" }
    return Set(header.tensors.map(\.name)).count == header.tensors.count ? nil : "a name twice"
  }

  private struct Outcomes {
    var accepted = 0
    var refused = 0
  }
}

/// Valid inputs to begin with.
private enum Corpus {
  static let headers: [(image: [UInt8], dataSize: Int)] = [
    ("{}", 0),
    (#"{"test":{"dtype":"I32","shape":[2,2],"data_offsets":[0,16]}}"#, 16),
    (#"{"__metadata__":{"format":"pt","n\u0041":"é😀"},"s":{"dtype":"F64","shape":[],"data_offsets":[0,8]}}  "#, 8),
    (
      """
      {"a":{"dtype":"F4","shape":[4,2],"data_offsets":[0,4]},"b":{"dtype":"F6_E2M3","shape":[4],"data_offsets":[4,7]},
      "c":{"dtype":"F8_E8M0","shape":[0,3],"data_offsets":[7,7]},
      "d":{"data_offsets":[7,11],"shape":[1,2],"dtype":"BF16"}}
      """, 11
    ),
    (
      "{"
        + (0..<8).map { layer in
          #""model.layers.\#(layer).mlp.experts.0.w1.weight":{"dtype":"BF16","shape":[3,2],"#
            + #""data_offsets":[\#(12 * layer),\#(12 * layer + 12)]}"#
        }.joined(separator: ",") + "}", 96
    ),
  ].map { (safetensors($0.0), $0.1) }

  static let index = Array(
    """
    {"metadata": {"total_size": 96}, "weight_map": {
      "model.layers.0.mlp.experts.0.w1.weight": "model-00001-of-00002.safetensors",
      "model.layers.0.mlp.experts.1.w1.weight": "model-00002-of-00002.safetensors",
      "lm_head.weight": "model-00002-of-00002.safetensors"}}
    """.utf8)

  static let configuration = """
    {"architectures": ["MixtralForCausalLM"], "num_local_experts": 8, "num_experts_per_tok": 2, "rope_theta": 1e6,
     "rms_norm_eps": 1e-05, "tie": false, "sliding_window": null, "big": -9223372036854775808,
     "text": "a\\n\\u00e9\\ud83d\\ude00",
     "quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128],
       "ignored_layers": ["lm_head", ["x"]]}}
    """

  /// Pieces that parsers trip over.
  static let pieces: [[UInt8]] =
    [
      "\"", "\\", "\\u", "\\ud800", "\\u0000", "{", "}", "[", "]", ",", ":", "null", "true", "NaN", "1e999", "-0",
      "0.0", "..", "../",
      "/", "\0", "\"__metadata__\":{},", "\"dtype\":\"F4\",", "\"shape\":[],", "\"data_offsets\":[0,0],", "\"a\":",
      "{}", " ",
      "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", "\u{FEFF}",
    ].map { Array($0.utf8) } + [[0xFF], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80]]
}

/// Damages bytes in one to four places.
private struct Mutator {
  var generator: SplitMix64

  init(seed: UInt64) { generator = SplitMix64(seed: seed) }

  /// A number at the border of something.
  var number: Int? {
    mutating get {
      [
        0, 1, 2, -1, 7, 8, 9, 16, 255, 65535, 65536, 100_000_000, 1 << 31, 1 << 32, 1 << 53, 1 << 61, 1 << 62, .max,
        .max - 1,
        .min, Int.random(in: 0...100, using: &generator),
      ].randomElement(using: &generator)
    }
  }

  mutating func mutated(_ original: [UInt8]) -> [UInt8] {
    var bytes = original
    for _ in 0..<[0, 1, 1, 1, 2, 3, 4].randomElement(using: &generator)! { mutate(&bytes) }
    return bytes
  }

  private mutating func mutate(_ bytes: inout [UInt8]) {
    guard !bytes.isEmpty else { return bytes.append(UInt8(truncatingIfNeeded: generator.next())) }
    let position = Int.random(in: bytes.indices, using: &generator)
    switch Int.random(in: 0..<10, using: &generator) {
    case 0: bytes[position] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
    case 1: bytes[position] = UInt8(truncatingIfNeeded: generator.next())
    case 2: bytes.removeSubrange(position...)  // truncation
    case 3: bytes.remove(at: position)
    case 4: bytes.insert(contentsOf: Corpus.pieces.randomElement(using: &generator)!, at: position)
    case 5:  // splice: a piece of it to another place
      let length = Int.random(in: 0...min(64, bytes.count - position), using: &generator)
      let piece = Array(bytes[position..<position + length])
      bytes.insert(contentsOf: piece, at: Int.random(in: 0...bytes.count, using: &generator))
    case 6:
      bytes.swapAt(position, Int.random(in: bytes.indices, using: &generator))
    default: editNumber(&bytes, from: position)
    }
  }

  /// Puts another number in the place of the next one.
  private mutating func editNumber(_ bytes: inout [UInt8], from position: Int) {
    let isDigit = { (byte: UInt8) in (0x30...0x39).contains(byte) }
    guard let start = bytes[position...].firstIndex(where: isDigit) else { return }
    let end = bytes[start...].firstIndex { !isDigit($0) } ?? bytes.endIndex
    var text = String(number ?? 0)
    switch Int.random(in: 0..<8, using: &generator) {
    case 0: text = "18446744073709551615"
    case 1: text += ".5"
    case 2: text += "e2"
    default: break
    }
    bytes.replaceSubrange(start..<end, with: Array(text.utf8))
  }
}
