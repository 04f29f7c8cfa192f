// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Foundation
import Glibc
import Testing

/// What goes wrong around the command: the disk is full, files change, memory is short, it is told to end. The error is clear, and
/// nothing half-written is left.
@Suite struct FaultTests {
  /// A command that writes `OUT`, of two layers of a small model, `IN`.
  struct Writer: CustomTestStringConvertible, Sendable {
    var arguments: [String]
    /// Of the file that is too large, in 512 bytes.
    var limit = 4

    init(_ arguments: String, limit: Int = 4) {
      self.arguments = arguments.split(separator: " ").map(String.init)
      self.limit = limit
    }

    var testDescription: String { arguments.joined(separator: " ") }

    func arguments(_ folder: String) -> [String] {
      arguments.map {
        $0.replacing("IN", with: Fixtures.path("arch_deepseek_v3")).replacing("OUT", with: folder + "/out")
      }
    }
  }

  private static let run =
    "run IN --layer 1 --input IN/model.safetensors --tensor model.layers.1.mlp.gate.weight --output OUT.safetensors"

  static let writers = [
    Writer("synth OLMoE-1B-7B --layers 1 --experts 8 -o OUT"), Writer("convert IN --to int8-channel -o OUT"),
    Writer("convert IN --to bf16 -o OUT"), Writer("extract IN --layer 1 -o OUT.safetensors"),
    Writer(run), Writer("check IN --html OUT.html"), Writer("check IN --svg OUT.svg"),
    Writer("verify IN --against IN --html OUT.html"), Writer("plan IN --svg OUT.svg"),
    Writer("balance zipf:1 --shape 64,32,64,4 --ranks 4 -o OUT.json", limit: 1),
  ]

  /// The limit of a file's size fails in the middle of a write, as a full disk does.
  @Test(arguments: writers)
  func diskFull(writer: Writer) throws {
    try withTemporaryFolder { folder in
      let run = try Command(writer.arguments(folder), script: #"ulimit -f \#(writer.limit); exec "$@" >/dev/null"#)
      #expect(run.status == 1)
      #expect(run.errors.contains("cannot write (File too large)"), "\(run.errors)")
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == [])
    }
  }

  @Test(arguments: [["inspect", "IN"], ["check", "IN", "--json"], ["--help"], ["--version"]])
  func outputFull(arguments: [String]) throws {
    let run = try Command(Writer(arguments.joined(separator: " ")).arguments(""), script: #"exec "$@" >/dev/full"#)
    #expect(run.status == 1 && run.errors.contains("not all of the result could be written (No space left on device)"))
  }

  @Test func notAFile() throws {
    let run = try Command(["plan", Fixtures.path("arch_deepseek_v3"), "--svg", "/dev/full"])
    #expect(run.status == 1 && run.errors.contains("/dev/full: cannot write"), "\(run.errors)")
  }

  /// More memory than the process may have: nothing is read.
  @Test func memoryLimit() throws {
    try withTemporaryFolder { folder in
      let model = folder + "/model"
      #expect(try Command(["synth", "Mixtral-8x7B", "--layers", "1", "--sparse", "-o", model]).status == 0)
      let arguments = [
        "run", model, "--layer", "0", "--input", model + "/model.safetensors", "--tensor",
        "model.layers.0.block_sparse_moe.gate.weight", "--output", folder + "/out.safetensors",
      ]
      let run = try Command(arguments, script: #"ulimit -v 2000000; exec "$@""#)
      #expect(run.status == 1 && run.errors.contains("cannot allocate"), "\(run.errors)")
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["model"])
    }
  }

  enum Change: CaseIterable, Sendable { case truncated, written, replaced }

  /// A file that changes while it is read is not taken for what it was; one that is replaced by another is read to its end.
  @Test(arguments: Change.allCases)
  func fileChanges(change: Change) throws {
    try withTemporaryFolder { folder in
      let model = folder + "/model"
      #expect(
        try Command(["synth", "OLMoE-1B-7B", "--layers", "1", "--sparse", "--experts", "16", "-o", model]).status == 0)
      let file = model + "/model.safetensors"
      let process = try start(["check", model, "--threads", "1"], output: folder + "/output")
      let files = "/proc/\(process.processIdentifier)/fd"
      try wait("for it to open the file") {
        ((try? FileManager.default.contentsOfDirectory(atPath: files)) ?? []).contains {
          (try? FileManager.default.destinationOfSymbolicLink(atPath: files + "/" + $0)) == file
        }
      }
      switch change {
      case .truncated: #expect(unsafe truncate(file, 1 << 20) == 0)
      case .written:
        let handle = try #require(FileHandle(forWritingAtPath: file))
        try handle.seekToEnd()
        try handle.write(contentsOf: [0])
      case .replaced:
        try Data([1]).write(to: URL(filePath: file), options: .atomic)
      }
      process.waitUntilExit()
      let output = try String(contentsOfFile: folder + "/output", encoding: .utf8)
      #expect(process.terminationReason == .exit)
      #expect(output.contains("the file changed after it was opened") == (change != .replaced), "\(output)")
      #expect(process.terminationStatus == (change == .replaced ? 0 : 1))
    }
  }

  static let longWriters = [
    Writer("synth OLMoE-1B-7B -o OUT"), Writer("convert IN --to nvfp4 -o OUT"),
    Writer("convert IN --to q4_k -o OUT.gguf"), Writer("extract IN --layer 0 -o OUT.safetensors"), Writer("run"),
  ]

  @Test(arguments: longWriters)
  func interrupted(writer: Writer) throws {
    try withTemporaryFolder { folder in
      let (model, place) = (folder + "/model", folder + "/place")
      try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)
      #expect(try Command(["synth", "OLMoE-1B-7B", "--layers", "1", "--sparse", "-o", model]).status == 0)
      let arguments = writer.arguments.map { $0.replacing("IN", with: model).replacing("OUT", with: place + "/out") }
      let process = try start(arguments, output: folder + "/output", temporary: place)
      try wait("for it to write") { try !FileManager.default.contentsOfDirectory(atPath: place).isEmpty }
      kill(process.processIdentifier, SIGTERM)
      process.waitUntilExit()
      #expect(process.terminationReason == .uncaughtSignal && process.terminationStatus == SIGTERM)
      #expect(try FileManager.default.contentsOfDirectory(atPath: place) == [])
    }
  }

  private func start(_ arguments: [String], output: String, temporary: String? = nil) throws -> Process {
    let process = Process()
    process.executableURL = Command.executable
    process.arguments = arguments
    if let temporary { process.environment = ProcessInfo.processInfo.environment.merging(["TMPDIR": temporary]) { $1 } }
    #expect(FileManager.default.createFile(atPath: output, contents: nil))
    let handle = try #require(FileHandle(forWritingAtPath: output))
    (process.standardOutput, process.standardError) = (handle, handle)
    process.standardInput = FileHandle.nullDevice
    try process.run()
    return process
  }

  private func wait(_ purpose: Comment, until isDone: () throws -> Bool) throws {
    for _ in 0..<6000 {
      if try isDone() { return }
      usleep(5000)
    }
    Issue.record(purpose)
  }
}
