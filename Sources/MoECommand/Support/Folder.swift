// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import Glibc
import MoE
import Tensors

/// Folders that commands write to.
enum Folder {
  /// Makes a folder that appears, under its name, when `body` has filled it; after an error or a signal nothing of it is left.
  ///
  /// - Parameter path: what is not there, or an empty folder; folders above it are made.
  static func writeWhole(_ path: String, _ body: (String) throws -> Void) throws {
    var parent = path.hasPrefix("/") ? "/" : "./"
    for part in path.split(separator: "/").dropLast() {
      parent += part + "/"
      if unsafe mkdir(parent, 0o777) != 0 && errno != EEXIST { throw failure(parent) }
    }
    try requireEmpty(path)
    let folder = try makeTemporary(in: parent, path)
    do {
      try body(folder)
      try UnfinishedFiles.finish(folder) { () throws(MoEError) in
        guard unsafe chmod(folder, 0o755) == 0, unsafe rename(folder, path) == 0 else { throw failure(path) }
      }
    } catch {
      UnfinishedFiles.remove(folder)
      throw error
    }
  }

  /// Refuses a path where something is that is not an empty folder.
  private static func requireEmpty(_ path: String) throws(MoEError) {
    guard let stream = unsafe opendir(path) else {
      if errno == ENOENT { return }
      throw failure(path)
    }
    defer { _ = unsafe closedir(stream) }
    if let name = unsafe nextName(in: stream) {
      throw MoEError(
        .invalidArgument, "the folder is not empty", file: path, found: name, remedy: "name another or empty it")
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
    let path = try makeTemporary(in: (environment("TMPDIR") ?? "/tmp") + "/", "a temporary folder")
    defer { UnfinishedFiles.remove(path) }
    return try body(path)
  }

  /// - Parameter purpose: for messages.
  private static func makeTemporary(in parent: String, _ purpose: String) throws(MoEError) -> String {
    try UnfinishedFiles.begin { () throws(MoEError) in
      var template = Array("\(parent).moe-XXXXXX".utf8CString)
      guard unsafe mkdtemp(&template) != nil else { throw failure(purpose) }
      return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
  }

  /// The next entry of a folder that is not the folder itself or the one above.
  private static func nextName(in stream: OpaquePointer) -> String? {
    while let entry = unsafe readdir(stream) {
      let name = unsafe withUnsafePointer(to: &entry.pointee.d_name.0) { unsafe String(cString: $0) }
      if name != "." && name != ".." { return name }
    }
    return nil
  }

  private static func failure(_ path: String) -> MoEError {
    MoEError(
      .unwritable, "the folder can't be made: \(unsafe String(cString: strerror(errno)))", file: path)
  }
}
