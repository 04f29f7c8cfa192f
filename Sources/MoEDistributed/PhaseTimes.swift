// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// Where the time of forwards over ranks goes, on this rank.
public struct PhaseTimes: Sendable, Hashable {
  /// Rows on their way to experts, and waiting for them.
  public var dispatch = Duration.zero
  /// Routed and shared experts.
  public var compute = Duration.zero
  /// Results on their way back, waiting for them, and adding them up.
  public var combine = Duration.zero

  public init() {}

  public var total: Duration { dispatch + compute + combine }

  static func += (times: inout Self, other: Self) {
    times.dispatch += other.dispatch
    times.compute += other.compute
    times.combine += other.combine
  }
}

/// A stopwatch that adds laps to phases.
struct PhaseClock {
  private(set) var times = PhaseTimes()
  private var last = ContinuousClock.now

  /// Ends a lap, which was of `phase`.
  mutating func lap(_ phase: WritableKeyPath<PhaseTimes, Duration>) {
    let now = ContinuousClock.now
    times[keyPath: phase] += now - last
    last = now
  }
}
