// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import MoE
import Testing

/// Counting tokens, and the calendar of balancing.
@Suite struct ExpertLoadTests {
  @Test func countsWhatIsRouted() {
    var load = ExpertLoad(slotCounts: [4, 2], window: 3)
    load.record([0, 3, -1, 3, 9, 1], topK: 2, layer: 0)
    load.record([1, 1, 0, 0], topK: 2, layer: 1, tokenCount: 1)
    #expect(load.totals == [[0, 0, 0, 0], [0, 0]])
    #expect(load.finishStep() == [[1, 1, 0, 2], [0, 2]])
    #expect(load.totals == [[1, 1, 0, 2], [0, 2]])
    load.record([0, 0], topK: 2, layer: 0)
    load.finishStep(isRecorded: false)
    #expect(load.totals == [[1, 1, 0, 2], [0, 2]])
    #expect(load.stepCount == 1)
  }

  /// The sums of a long run are those of its last steps.
  @Test(arguments: [1, 3, 7])
  func windowForgets(window: Int) {
    var load = ExpertLoad(slotCounts: [5], window: window)
    var generator = SplitMix64(seed: UInt64(window))
    var steps: [[Int32]] = []
    for _ in 0..<20 {
      steps.append((0..<12).map { _ in Int32.random(in: -1..<5, using: &generator) })
      load.record(steps.last!, topK: 3, layer: 0)
      load.finishStep()
      let last = steps.suffix(window).joined()
      #expect(load.totals == [(0..<5).map { slot in last.count { $0 == slot } }])
      #expect(load.stepCount == min(steps.count, window))
    }
    load.clear(layer: 0)
    #expect(load.totals == [[0, 0, 0, 0, 0]])
    load.record([2], topK: 1, layer: 0)
    load.finishStep()
    #expect(load.totals == [[0, 0, 1, 0, 0]])
  }

  @Test(arguments: [Int.max, -5, 0])
  func anyNumberOfTokens(tokenCount: Int) {
    var load = ExpertLoad(slotCounts: [1], window: 1)
    load.record([0, 0], topK: 2, layer: 0, tokenCount: tokenCount)
    #expect(load.finishStep() == [[tokenCount > 0 ? 2 : 0]])
  }

  @Test func slotsToExperts() throws {
    let placement = try ExpertPlacement(physicalToLogical: [1, 3, 2, 3, 1, 0], expertCount: 4, ranks: 3)
    #expect(placement.expertLoads([5, 1, 2, 3, 4, 6]) == [6, 9, 2, 4])
    #expect(placement.rankLoads([6, 9, 2, 4]) == [6.5, 4, 10.5])
    #expect(placement.balancedness([6, 9, 2, 4]) == 7 / 10.5)
    #expect(placement.balancedness([0, 0, 0, 0]) == 1)
    #expect(Balancedness.of([[1, 3], [2, 2]]) == 4.0 / 5)
  }

  /// The first placement after a quarter of the interval, then one for each interval; only the window before is recorded.
  @Test(arguments: [(12, 4), (100, 100), (7, 3), (1, 1), (10, 2)])
  func calendar(interval: Int, window: Int) {
    var schedule = BalancingSchedule(interval: interval, window: window)
    var due: [Int] = []
    var recorded: [Int] = []
    let steps = 5 * interval
    for step in 1...steps {
      #expect(schedule.records == (schedule.interval - schedule.step <= window))
      let actions = schedule.finishStep(.real)
      if actions.rebalances { due.append(step) }
      if actions.records { recorded.append(step) }
      #expect(!actions.logs)
    }
    let first = max(1, interval / 4)
    #expect(due == Array(stride(from: first, through: steps, by: interval)))
    let wanted = (1...steps).filter { step in
      let next = first + max(0, (step - first + interval - 1) / interval) * interval
      return next - step < window
    }
    #expect(recorded == wanted)
  }

  @Test func dummyAndProfilePasses() {
    var schedule = BalancingSchedule(interval: 4, window: 4)
    #expect(schedule.finishStep(.profile) == BalancingSchedule.Actions())
    #expect(schedule.step == 3)
    let dummy = schedule.finishStep(.dummy)
    #expect(dummy == BalancingSchedule.Actions(rebalances: true))
  }

  /// A placement that is due while experts still move waits, and the counter goes on.
  @Test func waitsForAMigration() {
    var schedule = BalancingSchedule(interval: 4, window: 2)
    #expect(schedule.finishStep(.real).rebalances)
    for _ in 0..<6 { #expect(!schedule.finishStep(.real, isMigrating: true).rebalances) }
    #expect(schedule.step == 6)
    #expect(schedule.records)
    #expect(schedule.finishStep(.real).rebalances)
    #expect(schedule.step == 0)
  }

  @Test func reports() {
    var schedule = BalancingSchedule(interval: 40, window: 3, logInterval: 10)
    let logged = (0..<30).filter { _ in schedule.finishStep(.real).logs }
    #expect(logged == [0, 10, 20])
    #expect(schedule.step == 20)
    // The step that is reported and the two before it are wanted.
    var records: [Bool] = []
    for _ in 0..<10 {
      records.append(schedule.records)
      _ = schedule.finishStep(.real)
    }
    #expect(records == [true, false, false, false, false, false, false, false, true, true])
  }
}
