// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Tensors

/// A file that appears whole or not at all: written beside its place under another name, and renamed when it is done.
///
/// Dropped before `commit`, it leaves nothing behind. (A process that is killed leaves `.NAME.….tmp`.)
@safe
public final class AtomicFile {
  /// The path that the file will have.
  public let path: String

  private let temporaryPath: String
  private let descriptor: Int32
  private var isCommitted = false

  /// Creates the temporary file in the folder of `path`, which must exist.
  ///
  /// - Throws: `.unwritable`, also where a folder, a device or a pipe is in the place.
  public init(creating path: String) throws(CheckpointError) {
    self.path = path
    var descriptor: Int32 = -1
    do throws(SystemError) {
      // What is no file, such as a device, would be replaced by one.
      if let kind = try? System.status(at: path).kind, kind != .regular { throw SystemError.notAFile(kind) }
      temporaryPath = try UnfinishedFiles.begin { () throws(SystemError) in
        let (path, created) = try Self.create(beside: path)
        descriptor = created
        return path
      }
    } catch {
      throw CheckpointError(Self.unwritable(path, error))
    }
    self.descriptor = descriptor
  }

  /// A new file in the folder of `path`, hidden.
  private static func create(beside path: String) throws(SystemError) -> (path: String, descriptor: Int32) {
    while true {
      let name = ".\(FilePath.lastName(of: path)).\(String(UInt64.random(in: 0 ... .max), radix: 36)).tmp"
      let candidate = FilePath.join(FilePath.folder(of: path), name)
      do throws(SystemError) {
        return (candidate, try System.create(candidate))
      } catch {
        if !error.meansExists { throw error }
      }
    }
  }

  deinit {
    System.close(descriptor)
    if !isCommitted { UnfinishedFiles.remove(temporaryPath) }
  }

  /// Makes the file `size` bytes long; bytes that were never written are zeros and take no room on the disk.
  ///
  /// - Throws: `.unwritable`.
  public func truncate(to size: Int) throws(CheckpointError) {
    do throws(SystemError) {
      try System.truncate(descriptor, to: size)
    } catch {
      throw CheckpointError(Self.unwritable(path, error))
    }
  }

  /// Writes all of `bytes` at `offset`.
  ///
  /// - Throws: `.unwritable`.
  @unsafe
  public func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(CheckpointError) {
    var done = 0
    do throws(SystemError) {
      while done < bytes.count {
        let rest = unsafe UnsafeRawBufferPointer(rebasing: bytes[done...])
        done += unsafe try System.write(descriptor, at: offset + done, from: rest)
      }
    } catch {
      throw CheckpointError(Self.unwritable(path, error))
    }
  }

  public func write(_ bytes: [UInt8], at offset: Int) throws(CheckpointError) {
    var failure: CheckpointError? = nil
    unsafe bytes.withUnsafeBytes { buffer in
      do throws(CheckpointError) { unsafe try write(buffer, at: offset) } catch { failure = error }
    }
    if let failure { throw failure }
  }

  /// Puts the file in its place, after its bytes have reached the disk.
  ///
  /// - Throws: `.unwritable`; the place then holds what it held before.
  public func commit() throws(CheckpointError) {
    precondition(!isCommitted, "\(path) was committed before")
    do throws(SystemError) {
      try System.synchronize(descriptor)
      try UnfinishedFiles.finish(temporaryPath) { () throws(SystemError) in
        try System.rename(temporaryPath, to: path)
      }
    } catch {
      throw CheckpointError(Self.unwritable(path, error))
    }
    isCommitted = true
    // The name is in the folder now; only a power failure could take it out. Not every file system can sync folders.
    if let folder = try? System.open(FilePath.folder(of: path)) {
      try? System.synchronize(folder)
      System.close(folder)
    }
  }

  private static func unwritable(_ path: String, _ error: SystemError) -> Fault {
    Fault(.unwritable, "cannot write (\(error.reason))", file: path)
  }
}

extension AtomicFile {
  /// Writes a whole file, e.g. a `config.json`.
  ///
  /// - Throws: `.unwritable`; the place then holds what it held before.
  public static func write(_ bytes: [UInt8], to path: String) throws(CheckpointError) {
    let file = try AtomicFile(creating: path)
    try file.write(bytes, at: 0)
    try file.commit()
  }

  public static func write(_ text: String, to path: String) throws(CheckpointError) {
    try write(Array(text.utf8), to: path)
  }
}
