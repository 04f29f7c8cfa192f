// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// When loads are recorded, reported, and experts placed anew: a counter of steps, the same on all ranks.
///
/// The first placement comes a quarter of an interval after the start, so that a new server isn't uneven for long; loads
/// are recorded only in the steps whose window matters.
///
/// ```swift
/// var schedule = BalancingSchedule(interval: 3000, window: 1000)
/// // after each forward pass:
/// let actions = schedule.finishStep(.real)
/// load.finishStep(isRecorded: actions.records)
/// if actions.rebalances { … }
/// ```
public struct BalancingSchedule: Sendable, Hashable {
  public let interval: Int
  public let window: Int
  /// Steps from one report of balancedness to the next; nil for none.
  public let logInterval: Int?

  /// Steps since the last placement; it starts at ¾ of the interval.
  public private(set) var step: Int

  /// - Precondition: no length is below 1.
  public init(interval: Int = 3000, window: Int = 1000, logInterval: Int? = nil) {
    precondition(interval > 0 && window > 0 && logInterval ?? 1 > 0, "a schedule of no steps")
    self.interval = interval
    self.window = window
    self.logInterval = logInterval
    step = interval - interval / 4
  }

  /// What a forward pass was of.
  public enum Pass: Sendable, Hashable {
    case real
    /// Made-up tokens, run so that a rank without work stays in step with the others: counted, not recorded.
    case dummy
    /// The run that measures memory: neither counted nor recorded.
    case profile
  }

  /// What to do after a forward pass.
  public struct Actions: Sendable, Hashable {
    /// The pass's counts go into the window; they are forgotten otherwise.
    public var records = false
    /// Balancedness is due.
    public var logs = false
    /// A new placement is due.
    public var rebalances = false

    public init(records: Bool = false, logs: Bool = false, rebalances: Bool = false) {
      self.records = records
      self.logs = logs
      self.rebalances = rebalances
    }
  }

  /// Whether the counts of the pass under way are wanted: by the next placement or the next report.
  public var records: Bool {
    if interval - step <= window { return true }
    guard let logInterval else { return false }
    return (logInterval - step % logInterval) % logInterval < window
  }

  /// Counts a forward pass.
  ///
  /// - Parameter isMigrating: whether experts of the last placement are still moving; a new one then waits.
  public mutating func finishStep(_ pass: Pass, isMigrating: Bool = false) -> Actions {
    guard pass != .profile else { return Actions() }
    var actions = Actions(
      records: pass == .real && records, logs: logInterval.map { step % $0 == 0 } ?? false)
    step += 1
    if step >= interval && !isMigrating {
      step = 0
      actions.rebalances = true
    }
    return actions
  }
}
