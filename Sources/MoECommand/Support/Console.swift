// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import Glibc
import MoE
import Tensors

/// What goes to the terminal beside results: errors, notes and progress, all on standard error.
enum Console {
  static let isTerminal = isatty(STDERR_FILENO) == 1 && environment("TERM") != "dumb"

  static func write(_ text: String) { put(text + "\n") }

  /// `moe: error: …` for each line of `message`.
  static func report(_ message: String) {
    for line in message.split(separator: "\n") { put("moe: error: \(line)\n") }
  }

  static func note(_ message: String) { put("moe: \(message)\n") }

  static func put(_ text: String) {
    var text = text
    text.withUTF8 { bytes in
      _ = unsafe Glibc.write(STDERR_FILENO, bytes.baseAddress, bytes.count)
    }
  }
}

extension Console {
  /// Sees to it that what was printed has got somewhere.
  ///
  /// - Throws: `unwritable`, for example where the disk that standard output goes to is full.
  static func finish() throws(MoEError) {
    guard fflush(nil) == 0 else {
      throw MoEError(
        .unwritable, "not all of the result could be written (\(unsafe String(cString: strerror(errno))))",
        subject: "standard output")
    }
  }

  /// The most memory that this process had at once.
  static var peakResidentBytes: Int {
    var usage = rusage()
    unsafe getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    return usage.ru_maxrss * 1024
  }
}

/// Seconds since some moment, never going back.
func now() -> Double {
  var time = timespec()
  unsafe clock_gettime(CLOCK_MONOTONIC, &time)
  return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
}

/// The value of an environment variable that is set and not empty.
func environment(_ name: String) -> String? {
  guard let value = unsafe getenv(name).map({ unsafe String(cString: $0) }), !value.isEmpty else { return nil }
  return value
}
