// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Glibc
import Synchronization

/// What this process has in memory in the course of a load, less what it had before.
final class MemorySamples: Sendable {
  private let before = resident
  private let samples = Mutex<[(share: Double, bytes: Int)]>([])

  func add(share: Double) {
    let bytes = Self.resident - before
    samples.withLock { $0.append((share, bytes)) }
  }

  var values: [(share: Double, bytes: Int)] { samples.withLock { $0 } }

  /// Bytes in memory now.
  private static var resident: Int {
    guard let file = unsafe fopen("/proc/self/statm", "r") else { return 0 }
    defer { unsafe fclose(file) }
    var line = [CChar](repeating: 0, count: 128)
    guard unsafe fgets(&line, 128, file) != nil else { return 0 }
    let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    let fields = text.split(separator: " ")
    return fields.count > 1 ? (Int(fields[1]) ?? 0) * sysconf(Int32(_SC_PAGESIZE)) : 0
  }
}
