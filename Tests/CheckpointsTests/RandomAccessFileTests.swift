// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import Foundation
import Tensors
import TestSupport
import Testing

@Suite struct RandomAccessFileTests {
  @Test func readsRanges() throws {
    let folder = try TemporaryFolder()
    try folder.write((0..<100).map(UInt8.init), "f")
    let file = try RandomAccessFile(opening: folder["f"])
    #expect(file.size == 100)
    #expect(try file.bytes(in: 10..<13) == [10, 11, 12])
    #expect(try file.bytes(in: 100..<100) == [])
  }

  @Test func refusesWhatIsNoFile() throws {
    let folder = try TemporaryFolder()
    expectFaults([.unreadable], "No such file or directory") { _ = try RandomAccessFile(opening: folder["absent"]) }
    expectFaults([.unreadable], "not a regular file", "found a folder") {
      _ = try RandomAccessFile(opening: folder.path)
    }
    expectFaults([.unreadable], "No such file") { _ = try RandomAccessFile(opening: folder["a\0b"]) }
    // Opening a pipe that nobody writes to would wait for ever.
    unsafe mkfifo(folder["pipe"], 0o600)
    expectFaults([.unreadable], "found a pipe") { _ = try RandomAccessFile(opening: folder["pipe"]) }
    expectFaults([.unreadable], "found a pipe, socket or device") { _ = try RandomAccessFile(opening: "/dev/zero") }
  }

  /// Under a mapping this would end the process with SIGBUS.
  @Test func aFileThatShrinks() throws {
    let folder = try TemporaryFolder()
    try folder.writeTensors(["a", "b"], "model.safetensors")
    let catalog = try TensorCatalog(opening: folder.path)
    try truncate(folder["model.safetensors"], to: UInt64(catalog["b"]!.offset + 1))
    expectFaults([.fileChanged], "model.safetensors: the file changed after it was opened", "let the download") {
      _ = try catalog.bytes(of: catalog["b"]!)
    }
    // The other tensor is whole still, but nothing says that it is what it was.
    expectFaults([.fileChanged]) { _ = try catalog.bytes(of: catalog["a"]!) }
    try truncate(folder["model.safetensors"], to: 0)
    expectFaults([.fileChanged], "found 0 bytes") { _ = try catalog.floats(of: catalog["a"]!) }
  }

  @Test func aFileThatIsWrittenTo() throws {
    let folder = try TemporaryFolder()
    try folder.writeTensors(["a"], "model.safetensors")
    let catalog = try TensorCatalog(opening: folder.path)
    #expect(try catalog.bytes(of: catalog["a"]!).count == 12)
    // The same size; the time is set, so that the test does not depend on the tick of the clock.
    let handle = try #require(FileHandle(forWritingAtPath: folder["model.safetensors"]))
    try handle.seek(toOffset: UInt64(catalog["a"]!.offset))
    try handle.write(contentsOf: [1])
    try handle.close()
    try FileManager.default.setAttributes(
      [.modificationDate: Date(timeIntervalSinceNow: 100)], ofItemAtPath: folder["model.safetensors"])
    expectFaults([.fileChanged], "its modification time") { _ = try catalog.bytes(of: catalog["a"]!) }
  }

  /// A new file under the old name is another file: the open one stays what it was.
  @Test func aFileThatIsReplaced() throws {
    let folder = try TemporaryFolder()
    try folder.writeTensors(["a"], "model.safetensors")
    let catalog = try TensorCatalog(opening: folder.path)
    try folder.writeTensors(["x", "y"], "model.safetensors")
    #expect(try catalog.bytes(of: catalog["a"]!) == Array(repeating: 0, count: 12))
  }

  @Test func aFileThatShrinksWhileItIsRead() async throws {
    let folder = try TemporaryFolder()
    let content = [UInt8](repeating: 7, count: 1 << 16)
    try folder.write(content, "f")
    let file = try RandomAccessFile(opening: folder["f"])
    async let result = readUntilChanged(file, content)
    try await Task.sleep(for: .milliseconds(20))
    try truncate(folder["f"], to: 1000)
    #expect(await result)
  }

  /// Whether all that was read without an error is `content`, and the error at last is that of a changed file.
  private func readUntilChanged(_ file: RandomAccessFile, _ content: [UInt8]) async -> Bool {
    while true {
      do throws(CheckpointError) {
        guard try file.bytes(in: 0..<file.size) == content else { return false }
      } catch {
        return error.contains(.fileChanged)
      }
      await Task.yield()
    }
  }
}

private func truncate(_ path: String, to size: UInt64) throws {
  let handle = try #require(FileHandle(forWritingAtPath: path))
  try handle.truncate(atOffset: size)
  try handle.close()
}
