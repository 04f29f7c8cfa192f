// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Synchronization

/// Files and folders that this process has begun and not yet put in their places. A process that is told to end by a signal
/// removes them first (`removeAll`); one that is killed can't.
package enum UnfinishedFiles {
  private static let paths = Mutex<Set<String>>([])

  /// Notes what `make` creates, and returns its path.
  package static func begin<Failure: Error>(_ make: () throws(Failure) -> String) throws(Failure) -> String {
    try paths.withLock { (paths) throws(Failure) in
      let path = try make()
      paths.insert(path)
      return path
    }
  }

  /// Forgets what `finish` has put in its place.
  package static func finish<Failure: Error>(_ path: String, _ finish: () throws(Failure) -> Void) throws(Failure) {
    try paths.withLock { (paths) throws(Failure) in
      try finish()
      paths.remove(path)
    }
  }

  /// Removes one that is not going to be finished.
  package static func remove(_ path: String) {
    paths.withLock {
      delete(path)
      $0.remove(path)
    }
  }

  /// Removes all, and calls `end`, which ends the process; nothing is begun or finished meanwhile.
  package static func removeAll(_ end: () -> Void) {
    paths.withLock {
      for path in $0 { delete(path) }
      end()
    }
  }

  /// A file, or a folder of plain files.
  private static func delete(_ path: String) {
    if (try? System.status(at: path))?.kind == .folder {
      for name in (try? System.names(in: path)) ?? [] { try? System.remove(FilePath.join(path, name)) }
      try? System.removeFolder(path)
    } else {
      try? System.remove(path)
    }
  }
}
