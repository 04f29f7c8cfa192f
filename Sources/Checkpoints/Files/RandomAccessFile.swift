// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Tensors

/// A regular file opened for reading at any offset, by any number of threads at once.
///
/// It is read with `pread` and never mapped: a file that shrinks under a mapping ends the process with SIGBUS, a file
/// that shrinks under this type gives an error. After each read the size and the time of modification are compared with
/// those at the opening, so that no bytes of a changed file are taken for those that were validated. (A change of the
/// same size within one tick of the file system's clock is not seen.)
@safe
public final class RandomAccessFile: Sendable {
  /// The path as it was given.
  public let path: String
  /// The size in bytes at the opening.
  public let size: Int

  private let descriptor: Int32
  private let status: System.Status

  /// Opens a regular file; symbolic links are followed.
  ///
  /// - Throws: `.unreadable`.
  public init(opening path: String) throws(CheckpointError) {
    self.path = path
    do throws(SystemError) {
      let descriptor = try System.open(path)
      self.descriptor = descriptor
      do throws(SystemError) {
        status = try System.status(of: descriptor)
      } catch {
        System.close(descriptor)
        throw error
      }
    } catch {
      throw CheckpointError(Self.unreadable(path, error))
    }
    size = status.size
    guard status.kind == .regular else {
      throw CheckpointError(
        Fault(
          .unreadable, "not a regular file", file: path, expected: "a file",
          found: status.kind == .folder ? "a folder" : "a pipe, socket or device"))
    }
  }

  deinit { System.close(descriptor) }

  /// Fills `buffer` with the bytes from `offset` on.
  ///
  /// - Throws: `.fileChanged` when the file is not the one that was opened any more, `.unreadable` when reading fails.
  /// - Precondition: The bytes lie in `0 ..< size`.
  @unsafe
  public func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws(CheckpointError) {
    precondition(offset >= 0 && offset <= size && buffer.count <= size - offset, "read outside \(path)")
    var done = 0
    do throws(SystemError) {
      while done < buffer.count {
        let rest = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
        let count = unsafe try System.read(descriptor, at: offset + done, into: rest)
        if count == 0 { break }
        done += count
      }
    } catch {
      throw CheckpointError(
        Fault(.unreadable, "cannot read at byte \(offset + done) (\(error.reason))", file: path))
    }
    // After the read, not before: what matters is whether these bytes are those that were validated.
    try checkUnchanged()
    if done < buffer.count { throw changed(expected: "\(size) bytes", found: "\(offset + done) bytes") }
  }

  /// The bytes of `range`.
  ///
  /// - Throws: As `read(at:into:)`.
  public func bytes(in range: Range<Int>) throws(CheckpointError) -> [UInt8] {
    unsafe try makeBytes(count: range.count) { buffer throws(CheckpointError) in
      unsafe try read(at: range.lowerBound, into: buffer)
    }
  }

  /// Compares the file with what it was at the opening.
  ///
  /// - Throws: `.fileChanged`.
  public func checkUnchanged() throws(CheckpointError) {
    let now: System.Status
    do throws(SystemError) {
      now = try System.status(of: descriptor)
    } catch {
      throw CheckpointError(Fault(.unreadable, "cannot look at the open file (\(error.reason))", file: path))
    }
    guard now != status else { return }
    throw now.size != size
      ? changed(expected: "\(size) bytes", found: "\(now.size) bytes")
      : changed(expected: "its modification time", found: "a later write")
  }

  private func changed(expected: String, found: String) -> CheckpointError {
    CheckpointError(
      Fault(
        .fileChanged, "the file changed after it was opened", file: path, expected: expected, found: found,
        remedy: "let the download or conversion finish, then open the checkpoint again"))
  }

  static func unreadable(_ path: String, _ error: SystemError) -> Fault {
    Fault(
      .unreadable, "cannot open (\(error.reason))", file: path,
      remedy: error.meansTooManyFiles ? "allow this process more open files (ulimit -n)" : nil)
  }
}

extension RandomAccessFile {
  /// The whole of a small file.
  ///
  /// - Throws: `.unreadable`, `.fileChanged`, `.tooLarge` above `limit` bytes.
  public static func contents(of path: String, limit: Int) throws(CheckpointError) -> [UInt8] {
    let file = try RandomAccessFile(opening: path)
    guard file.size <= limit else {
      throw CheckpointError(
        Fault(
          .tooLarge, "too large for what it is", file: path, expected: "at most \(limit) bytes", found: "\(file.size)"))
    }
    return try file.bytes(in: 0..<file.size)
  }
}

/// An array that `fill` writes; its contents are zeros before, so that nothing uninitialised gets out.
func makeBytes(
  count: Int, _ fill: (UnsafeMutableRawBufferPointer) throws(CheckpointError) -> Void
) throws(CheckpointError) -> [UInt8] {
  var bytes = [UInt8](repeating: 0, count: count)
  var failure: CheckpointError? = nil
  unsafe bytes.withUnsafeMutableBytes { buffer in
    do throws(CheckpointError) { unsafe try fill(buffer) } catch { failure = error }
  }
  if let failure { throw failure }
  return bytes
}
