// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import MoEInspection
import Synchronization

/// One line on the terminal that shows how far something is; nothing where standard error is no terminal.
final class ProgressLine: Sendable {
  private let title: String
  private let start = now()
  private let lastShown = Mutex(0.0)

  init(_ title: String) { self.title = title }

  /// Redraws at most ten times a second.
  func show(bytes: Int, of total: Int) {
    guard Console.isTerminal else { return }
    let time = now()
    let isDue = lastShown.withLock { last in
      guard time - last >= 0.1 || bytes == total else { return false }
      last = time
      return true
    }
    guard isDue else { return }
    let share = total > 0 ? Double(bytes) / Double(total) : 1
    let rate = Double(bytes) / max(time - start, 1e-9)
    let left = rate > 0 ? Double(total - bytes) / rate : 0
    Console.put(
      "\r\u{1B}[K\(title) \(Format.fixed(100 * share, 0)) %  \(Format.bytes(bytes)) of \(Format.bytes(total))  "
        + "\(Format.rate(rate))  \(Format.fixed(left, 0)) s left")
  }

  func finish() {
    if Console.isTerminal { Console.put("\r\u{1B}[K") }
  }
}
