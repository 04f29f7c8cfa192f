// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import Glibc
import MoE
import Tensors

/// Folders that commands write to.
enum Folder {
  /// Makes a folder, with those above it; one that is there must be empty.
  static func prepareEmpty(_ path: String) throws(MoEError) {
    var made = path.hasPrefix("/") ? "/" : ""
    for part in path.split(separator: "/") {
      made += part + "/"
      if unsafe mkdir(made, 0o777) != 0 && errno != EEXIST { throw failure(made) }
    }
    guard let stream = unsafe opendir(path) else { throw failure(path) }
    defer { _ = unsafe closedir(stream) }
    if let name = unsafe nextName(in: stream) {
      throw MoEError(
        .invalidArgument, "the folder is not empty", file: path, found: name, remedy: "name another or empty it")
    }
  }

  /// Makes a folder that appears, under its name, when `body` has filled it; after an error nothing of it is left.
  static func writeWhole(_ path: String, _ body: (String) throws -> Void) throws {
    try prepareEmpty(path)
    let parent = path.split(separator: "/").dropLast().joined(separator: "/")
    let prefix = path.hasPrefix("/") ? "/" + parent : parent.isEmpty ? "." : parent
    var template = Array("\(prefix)/.moe-XXXXXX".utf8CString)
    guard unsafe mkdtemp(&template) != nil else { throw failure(path) }
    let folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    do {
      try body(folder)
      guard unsafe chmod(folder, 0o755) == 0, unsafe rename(folder, path) == 0 else { throw failure(path) }
    } catch {
      remove(folder)
      unsafe rmdir(path)
      throw error
    }
  }

  /// Refuses to write over a file.
  static func refuseExisting(_ path: String) throws(MoEError) {
    guard unsafe access(path, F_OK) == 0 else { return }
    throw MoEError(.invalidArgument, "the file is there already", file: path, remedy: "name another or remove it")
  }

  /// Copies what stands beside weights and configuration: tokenizer, templates, code.
  static func copyCompanions(from checkpoint: String, to folder: String) throws {
    guard let stream = unsafe opendir(checkpoint) else { return }
    defer { _ = unsafe closedir(stream) }
    let endings = [
      ".json", ".txt", ".model", ".jinja", ".py", ".md", "LICENSE", CheckpointConversion.vocabularyName,
    ]
    let written = ["config.json", "hf_quant_config.json", "quantize_config.json"]
    while let name = unsafe nextName(in: stream) {
      guard endings.contains(where: name.hasSuffix), !written.contains(name), !name.hasSuffix(".safetensors.index.json")
      else { continue }
      let bytes = try RandomAccessFile.contents(of: checkpoint + "/" + name, limit: 1 << 28)
      try AtomicFile.write(bytes, to: folder + "/" + name)
    }
  }

  /// A new folder for temporary files, removed with all its files after `body`.
  static func withTemporary<Result>(_ body: (String) throws -> Result) throws -> Result {
    var template = Array("\(environment("TMPDIR") ?? "/tmp")/moe-XXXXXX".utf8CString)
    guard unsafe mkdtemp(&template) != nil else { throw failure("a temporary folder") }
    let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    defer { remove(path) }
    return try body(path)
  }

  /// The next entry of a folder that is not the folder itself or the one above.
  private static func nextName(in stream: OpaquePointer) -> String? {
    while let entry = unsafe readdir(stream) {
      let name = unsafe withUnsafePointer(to: &entry.pointee.d_name.0) { unsafe String(cString: $0) }
      if name != "." && name != ".." { return name }
    }
    return nil
  }

  /// Removes a folder of plain files.
  private static func remove(_ path: String) {
    if let stream = unsafe opendir(path) {
      while let name = unsafe nextName(in: stream) { unsafe unlink(path + "/" + name) }
      _ = unsafe closedir(stream)
    }
    unsafe rmdir(path)
  }

  private static func failure(_ path: String) -> MoEError {
    MoEError(
      .unwritable, "the folder can't be made: \(unsafe String(cString: strerror(errno)))",
      file: path)
  }
}
