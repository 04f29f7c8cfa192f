// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// The calls of the operating system that this module makes. The only file that imports the C library.
///
/// Every function throws the `errno` of a failed call as a `SystemError`, and starts again after a signal (EINTR).
enum System {
  /// What identifies a file and its state.
  struct Status: Sendable, Hashable {
    enum Kind: Sendable { case regular, folder, other }

    var kind: Kind
    var device: UInt64
    var inode: UInt64
    var size: Int
    var modificationSeconds: Int
    var modificationNanoseconds: Int
  }

  static func open(_ path: String) throws(SystemError) -> Int32 {
    // O_NONBLOCK: a pipe without a writer must not hold us up; it means nothing for regular files.
    try call(path) { retrying { unsafe systemOpen(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0) } }
  }

  /// Creates a file that must not exist.
  static func create(_ path: String) throws(SystemError) -> Int32 {
    try call(path) { retrying { unsafe systemOpen(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o666) } }
  }

  static func close(_ descriptor: Int32) { _ = systemClose(descriptor) }

  static func status(of descriptor: Int32) throws(SystemError) -> Status {
    var information = stat()
    _ = try check(unsafe fstat(descriptor, &information))
    return Status(information)
  }

  static func status(at path: String) throws(SystemError) -> Status {
    var information = stat()
    _ = try call(path) { unsafe stat(path, &information) }
    return Status(information)
  }

  /// The error of looking for a path; nil when something is there.
  static func absence(of path: String) -> SystemError? {
    do throws(SystemError) {
      _ = try status(at: path)
      return nil
    } catch {
      return error
    }
  }

  /// Reads once; 0 at the end of the file.
  static func read(_ descriptor: Int32, at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws(SystemError)
    -> Int
  {
    // Linux moves at most 0x7ffff000 bytes in one call.
    let count = min(buffer.count, 1 << 30)
    return try check(retrying { unsafe pread(descriptor, buffer.baseAddress, count, off_t(offset)) })
  }

  /// Writes once; may write less than asked.
  static func write(_ descriptor: Int32, at offset: Int, from buffer: UnsafeRawBufferPointer) throws(SystemError) -> Int
  {
    let count = min(buffer.count, 1 << 30)
    return try check(retrying { unsafe pwrite(descriptor, buffer.baseAddress, count, off_t(offset)) })
  }

  static func truncate(_ descriptor: Int32, to size: Int) throws(SystemError) {
    _ = try check(retrying { ftruncate(descriptor, off_t(size)) })
  }

  static func synchronize(_ descriptor: Int32) throws(SystemError) {
    _ = try check(retrying { fsync(descriptor) })
  }

  /// Puts a file in the place of another in one step.
  static func rename(_ path: String, to target: String) throws(SystemError) {
    _ = try call(path) { unsafe systemRename(path, target) }
  }

  static func remove(_ path: String) throws(SystemError) {
    _ = try call(path) { unsafe unlink(path) }
  }

  /// Removes an empty folder.
  static func removeFolder(_ path: String) throws(SystemError) {
    _ = try call(path) { unsafe rmdir(path) }
  }

  /// The absolute path without symbolic links; nil when there is none.
  static func resolved(_ path: String) -> String? {
    guard let resolved = unsafe realpath(path, nil) else { return nil }
    defer { unsafe free(resolved) }
    return unsafe String(cString: resolved)
  }

  /// The names in a folder but `.` and `..`, sorted.
  static func names(in folder: String) throws(SystemError) -> [String] {
    guard !folder.utf8.contains(0) else { throw SystemError(code: ENOENT) }
    guard let stream = unsafe opendir(folder) else { throw SystemError(code: errno) }
    defer { unsafe closedir(stream) }
    var names: [String] = []
    while true {
      errno = 0
      guard let entry = unsafe readdir(stream) else { break }
      let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) {
        unsafe $0.withMemoryRebound(to: CChar.self, capacity: 1) { unsafe String(cString: $0) }
      }
      if name != "." && name != ".." { names.append(name) }
    }
    guard errno == 0 else { throw SystemError(code: errno) }
    return names.sorted()
  }

  // A C string ends at a NUL: a path that holds one would name another file than the one that was checked.
  private static func call(_ path: String, _ body: () -> Int32) throws(SystemError) -> Int32 {
    guard !path.utf8.contains(0) else { throw SystemError(code: ENOENT) }
    return try check(body())
  }

  private static func retrying<Result: SignedInteger>(_ body: () -> Result) -> Result {
    while true {
      let result = body()
      if result != -1 || errno != EINTR { return result }
    }
  }

  private static func check<Result: SignedInteger>(_ result: Result) throws(SystemError) -> Result {
    if result == -1 { throw SystemError(code: errno) }
    return result
  }
}

/// A failed call of the operating system.
struct SystemError: Error {
  let code: Int32

  var isAbsence: Bool { code == ENOENT || code == ENOTDIR }
  var meansTooManyFiles: Bool { code == EMFILE || code == ENFILE }
  var meansExists: Bool { code == EEXIST }

  /// What opening for writing says of a place that holds no file.
  static func notAFile(_ kind: System.Status.Kind) -> SystemError {
    SystemError(code: kind == .folder ? EISDIR : ENOTSUP)
  }
  /// The reason in the system's words, e.g. "No such file or directory".
  var reason: String { unsafe String(cString: strerror(code)) }
}

extension System.Status {
  fileprivate init(_ information: stat) {
    #if canImport(Darwin)
      let modification = information.st_mtimespec
    #else
      let modification = information.st_mtim
    #endif
    let format = UInt32(information.st_mode) & UInt32(S_IFMT)
    self.init(
      kind: format == UInt32(S_IFREG) ? .regular : format == UInt32(S_IFDIR) ? .folder : .other,
      device: UInt64(truncatingIfNeeded: information.st_dev), inode: UInt64(information.st_ino),
      size: Int(information.st_size), modificationSeconds: Int(modification.tv_sec),
      modificationNanoseconds: Int(modification.tv_nsec))
  }
}

// Inside `System` the names of these functions are taken by its own.
private func systemOpen(_ path: UnsafePointer<CChar>, _ flags: Int32, _ mode: mode_t) -> Int32 {
  unsafe open(path, flags, mode)
}
private func systemClose(_ descriptor: Int32) -> Int32 { close(descriptor) }
private func systemRename(_ path: UnsafePointer<CChar>, _ target: UnsafePointer<CChar>) -> Int32 {
  unsafe rename(path, target)
}
