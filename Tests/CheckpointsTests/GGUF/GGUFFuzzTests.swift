// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import Foundation
import Tensors
import Testing

/// Damaged files: each must open or throw `CheckpointError`, and never end the process.
///
/// `MOE_FUZZ_INPUTS` is the number of inputs (20,000), `MOE_FUZZ_SEED` the first seed (0). What is accepted is checked
/// again by rules of its own, so that a parser that accepts everything fails here.
@Suite struct GGUFFuzzTests {
  static let inputCount = environment("MOE_FUZZ_INPUTS") ?? 20_000
  static let seed = environment("MOE_FUZZ_SEED") ?? 0
  static let runs = 0..<4

  private static func environment(_ name: String) -> Int? {
    ProcessInfo.processInfo.environment[name].flatMap { Int($0) }
  }

  @Test(arguments: runs)
  func fuzz(run: Int) {
    var (accepted, refused) = (0, 0)
    for number in stride(from: run, to: Self.inputCount, by: Self.runs.count) {
      var mutator = GGUFMutator(seed: UInt64(Self.seed) << 32 + UInt64(number))
      let bytes = mutator.mutated(Self.corpus.randomElement(using: &mutator.generator)!)
      // At times a file that is longer than what is known of it, or shorter.
      let fileSize = mutator.isOneOf(16) ? Int(clamping: mutator.number) : bytes.count
      do throws(CheckpointError) {
        let header = try GGUFHeader(parsing: bytes, fileSize: fileSize, file: "fuzz")
        accepted += 1
        if let violation = violation(of: header, fileSize: fileSize) {
          Issue.record("\(violation), input \(number): \(bytes)")
        }
        if fileSize == bytes.count { decode(header, bytes) }
      } catch {
        refused += 1
        if !error.faults.allSatisfy({ $0.file != nil && !$0.message.isEmpty }) {
          Issue.record("a fault without a place: \(error)")
        }
      }
    }
    #expect(accepted > 0 && refused > accepted / 10, "\(accepted) accepted, \(refused) refused")
    print("GGUF fuzz run \(run): \(accepted) accepted, \(refused) refused")
  }

  /// By the way of a user: a damaged file of a set of two.
  @Test func fuzzFolders() throws {
    let folder = try TemporaryFolder()
    let names = ["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"]
    let originals = (0..<2).map { number in
      GGUFImage(
        [
          ("split.no", Field.u16(UInt16(number))), ("split.count", Field.u16(2)), ("split.tensors.count", Field.i32(2)),
          ("general.architecture", Field.string("llama")),
        ], tensors: [.init("t\(number)", .q4_0, 32, 2)], dataSize: 36
      ).bytes
    }
    for (name, bytes) in zip(names, originals) { try folder.write(bytes, name) }
    for number in 0..<max(200, Self.inputCount / 1000) {
      var mutator = GGUFMutator(seed: UInt64(Self.seed) << 32 + UInt64(number))
      let victim = number % 2
      try folder.write(mutator.mutated(originals[victim]), names[victim])
      do throws(CheckpointError) {
        let model = try TensorCatalog(opening: folder.path)
        for tensor in model.records { _ = try model.floats(of: tensor) }
      } catch {
        #expect(!error.description.isEmpty)
      }
      try folder.write(originals[victim], names[victim])
    }
    #expect(throws: Never.self) { try TensorCatalog(opening: folder.path) }
  }

  /// Decodes what was accepted: any bytes have values.
  private func decode(_ header: GGUFHeader, _ bytes: [UInt8]) {
    for tensor in header.tensors where tensor.byteCount > 0 {
      let bytes = Array(bytes[tensor.offset..<tensor.offset + tensor.byteCount])
      let floats = tensor.ggmlType?.decode(bytes) ?? tensor.elementType.decode(bytes)
      if floats.count != tensor.logicalShape.elementCount { Issue.record("\(tensor)") }
    }
  }

  /// The rules of the format once more, with wide integers.
  private func violation(of header: GGUFHeader, fileSize: Int) -> String? {
    guard header.alignment > 0, header.alignment.nonzeroBitCount == 1 else { return "alignment" }
    guard header.dataOffset % header.alignment == 0 else { return "start of the data" }
    for (index, tensor) in header.tensors.enumerated() {
      guard (1...4).contains(tensor.shape.rank), tensor.shape.dimensions.allSatisfy({ $0 >= 0 }) else { return "shape" }
      // Blocks are counted in bytes.
      let width = tensor.elementType.bitWidth / 8
      guard tensor.ggmlType == nil || tensor.elementType == .u8 else { return "type of \(tensor.name)" }
      guard tensor.shape.dimensions.last! % (tensor.ggmlType?.blockBytes ?? 1) == 0 else {
        return "blocks of \(tensor.name)"
      }
      var bytes = UInt128(width)
      for extent in tensor.shape.dimensions { bytes *= UInt128(extent) }
      guard bytes == UInt128(tensor.byteCount) else { return "size of \(tensor.name)" }
      guard tensor.offset >= header.dataOffset, (tensor.offset - header.dataOffset) % header.alignment == 0 else {
        return "offset of \(tensor.name)"
      }
      guard UInt128(tensor.offset) + bytes <= UInt128(fileSize) else { return "end of \(tensor.name)" }
      for other in header.tensors[..<index] where bytes > 0 && other.byteCount > 0 {
        let isApart =
          tensor.offset >= other.offset + other.byteCount || other.offset >= tensor.offset + tensor.byteCount
        if !isApart { return "overlap of \(tensor.name) and \(other.name)" }
        if tensor.name == other.name { return "a name twice" }
      }
    }
    return nil
  }

  /// Valid files to begin with.
  static let corpus: [[UInt8]] = [
    GGUFImage().bytes,
    GGUFImage(
      [
        ("general.alignment", Field.u32(32)), ("general.architecture", Field.string("qwen3moe")),
        ("qwen3moe.expert_count", Field.u32(8)), ("scale", Field.f32(2.5)), ("norm", Field.bool(1)),
        ("tokens", Field.array(["a", "é", "😀"].map { Field.string($0) })),
        ("nested", Field.array([Field.array([Field.i8(1)]), Field.array([Field.u64(2), Field.u64(3)])])),
      ],
      tensors: [
        .init("blk.0.ffn_gate_exps.weight", .q4_K, 256, 2, 2),
        .init("blk.0.ffn_up_exps.weight", .q8_0, 64, 2, offset: 576),
        .init("blk.0.exp_probs_b.bias", .f32, 4, offset: 736), .init("scalar", .f64, 1, 1, 1, 1, offset: 768),
      ], dataSize: 776
    ).bytes,
    GGUFImage(
      [("k", Field.i64(-1))],
      tensors: [
        .init("iq", .iq2_XS, 256, offset: 0), .init("tq", .tq1_0, 256, offset: 96),
        .init("mx", .mxfp4, 32, offset: 160),
        .init("nv", .nvfp4, 64, offset: 192), .init("none", .bf16, 0, offset: 256),
        .init("iq1", .iq1_M, 256, offset: 256),
      ], dataSize: 312
    ).bytes,
  ]
}

/// Damages bytes in one to four places.
private struct GGUFMutator {
  var generator: SplitMix64

  init(seed: UInt64) { generator = SplitMix64(seed: seed) }

  mutating func isOneOf(_ count: Int) -> Bool { Int.random(in: 0..<count, using: &generator) == 0 }

  /// A number at the border of something.
  var number: UInt64 {
    mutating get {
      [
        0, 1, 2, 3, 4, 7, 8, 9, 12, 16, 31, 32, 33, 64, 255, 256, 65535, 65536, 1 << 28, 1 << 31, 1 << 32, 1 << 53,
        1 << 60, 1 << 61, 1 << 62, 1 << 63 - 1, 1 << 63, .max, .max - 31,
        UInt64.random(in: 0...400, using: &generator),
      ].randomElement(using: &generator)!
    }
  }

  mutating func mutated(_ original: [UInt8]) -> [UInt8] {
    var bytes = original
    for _ in 0..<[0, 1, 1, 1, 2, 3, 4].randomElement(using: &generator)! { mutate(&bytes) }
    return bytes
  }

  private mutating func mutate(_ bytes: inout [UInt8]) {
    guard !bytes.isEmpty else { return bytes.append(UInt8(truncatingIfNeeded: generator.next())) }
    // The header is short and the data are not: most damage should hit the header.
    let position = Int.random(in: 0..<(isOneOf(4) ? bytes.count : min(bytes.count, 400)), using: &generator)
    switch Int.random(in: 0..<10, using: &generator) {
    case 0: bytes[position] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
    case 1: bytes[position] = UInt8(truncatingIfNeeded: generator.next())
    case 2: bytes.removeSubrange(position...)  // truncation
    case 3: bytes.remove(at: position)
    case 4: bytes.insert(UInt8(truncatingIfNeeded: generator.next()), at: position)
    case 5:  // splice: a piece of it to another place
      let length = Int.random(in: 0...min(64, bytes.count - position), using: &generator)
      let piece = Array(bytes[position..<position + length])
      bytes.insert(contentsOf: piece, at: Int.random(in: 0...bytes.count, using: &generator))
    case 6: bytes.swapAt(position, Int.random(in: bytes.indices, using: &generator))
    case 7: put(little(UInt32(truncatingIfNeeded: number)), at: position, &bytes)
    default: put(little(number), at: position, &bytes)
    }
  }

  /// Puts a number in the place of what is there.
  private func put(_ number: [UInt8], at position: Int, _ bytes: inout [UInt8]) {
    let end = min(bytes.count, position + number.count)
    bytes.replaceSubrange(position..<end, with: number.prefix(end - position))
  }
}
