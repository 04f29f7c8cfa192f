// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import Glibc

/// What happens when the process is told to end: what it has begun to write is removed, and then it ends by that signal.
enum Interruption {
  /// A thread waits for the signals, as little may be called where they strike. Before other threads are started: they
  /// inherit that the signals are not theirs.
  static func watch() {
    // A file that grows over its limit (ulimit -f) is an error of the write, as a full disk is.
    signal(SIGXFSZ, SIG_IGN)
    var signals = signals()
    unsafe pthread_sigmask(SIG_BLOCK, &signals, nil)
    let status = startThread()
    if status != 0 { unsafe pthread_sigmask(SIG_UNBLOCK, &signals, nil) }
  }

  private static func startThread() -> Int32 {
    var thread = pthread_t()
    return unsafe pthread_create(
      &thread, nil,
      { _ in
        Interruption.end()
        return nil
      }, nil)
  }

  /// Those that aren't ignored: `nohup` ignores SIGHUP.
  private static func signals() -> sigset_t {
    var set = sigset_t()
    unsafe sigemptyset(&set)
    for number in [SIGINT, SIGTERM, SIGHUP] where !isIgnored(number) { unsafe sigaddset(&set, number) }
    return set
  }

  private static func isIgnored(_ number: Int32) -> Bool {
    var action = sigaction()
    unsafe sigaction(number, nil, &action)
    return unsafe unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self) == 1
  }

  /// Waits for a signal, and ends the process by it.
  private static func end() {
    var signals = signals()
    var number: Int32 = 0
    while unsafe sigwait(&signals, &number) != 0 {}
    UnfinishedFiles.removeAll {
      signal(number, SIG_DFL)
      unsafe pthread_sigmask(SIG_UNBLOCK, &signals, nil)
      raise(number)
    }
  }
}
