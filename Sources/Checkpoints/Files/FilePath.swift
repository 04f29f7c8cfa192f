// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// The few things this module does with paths, as text.
enum FilePath {
  static func join(_ folder: String, _ name: String) -> String {
    folder.isEmpty ? name : folder.utf8.last == 0x2F ? folder + name : folder + "/" + name
  }

  /// The folder of a file: `a/b` of `a/b/c`, `.` of `c`.
  static func folder(of path: String) -> String {
    guard let slash = path.utf8.lastIndex(of: 0x2F) else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  static func lastName(of path: String) -> String {
    path.split(separator: "/").last.map(String.init) ?? path
  }

  /// Whether `name` stays in the folder that it is relative to. Symbolic links count as what they are called: the
  /// caches of Hugging Face consist of them.
  static func staysInside(_ name: String) -> Bool {
    let parts = name.utf8.split(separator: 0x2F, omittingEmptySubsequences: false)
    return parts.allSatisfy { part in
      !part.isEmpty && !part.elementsEqual(".".utf8) && !part.elementsEqual("..".utf8)
        && part.allSatisfy { $0 >= 0x20 && $0 != 0x7F && $0 != 0x5C }
    }
  }
}
