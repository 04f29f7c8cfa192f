// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// What is in a folder.
package enum FolderContents {
  /// The names of the entries, sorted; nil for a path that is no folder.
  ///
  /// - Throws: `.unreadable`.
  package static func names(of path: String) throws(CheckpointError) -> [String]? {
    do throws(SystemError) {
      guard try System.status(at: path).kind == .folder else { return nil }
      return try System.names(in: path)
    } catch {
      throw CheckpointError(RandomAccessFile.unreadable(path, error))
    }
  }
}
