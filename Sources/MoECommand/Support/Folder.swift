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
