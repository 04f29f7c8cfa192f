// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// Tokens that went to each slot of each layer, in a window of the last steps.
///
/// A rank counts the tokens that it routes; the sum over ranks is the load.
///
/// ```swift
/// var load = ExpertLoad(slotCounts: [6, 6], window: 1000)
/// load.record(placement.physicalIDs(of: routing), topK: 2, layer: 0)   // in each layer, as it runs
/// load.finishStep()
/// load.totals[0]                                                       // [slots]
/// ```
public struct ExpertLoad: Sendable {
  /// Slots of each layer.
  public let slotCounts: [Int]
  /// The most steps that are remembered.
  public let window: Int
  /// The step under way and the ones before it, `[layers][slots]`; the oldest is overwritten.
  private var current: [[Int32]]
  private var steps: [[[Int32]]] = []
  private var oldest = 0
  /// Sums of the window, kept up so that reading them costs nothing.
  private var sums: [[Int]]

  /// - Precondition: the window has a step at least.
  public init(slotCounts: [Int], window: Int) {
    precondition(window > 0, "a window of \(window) steps")
    self.slotCounts = slotCounts
    self.window = window
    current = slotCounts.map { Array(repeating: 0, count: $0) }
    sums = slotCounts.map { Array(repeating: 0, count: $0) }
  }

  /// Steps in the window.
  public var stepCount: Int { steps.count }

  /// Tokens of the window's steps, `[layers][slots]`.
  public var totals: [[Int]] { sums }

  /// Counts what a layer routes.
  ///
  /// - Parameters:
  ///   - physicalIDs: slots `[tokens, topK]`; −1 and what is no slot of the layer isn't counted.
  ///   - tokenCount: the tokens that count; those after them are padding. nil for all.
  /// - Precondition: there is such a layer.
  public mutating func record(_ physicalIDs: [Int32], topK: Int, layer: Int, tokenCount: Int? = nil) {
    let (end, overflow) = (tokenCount ?? .max).multipliedReportingOverflow(by: topK)
    for id in physicalIDs.prefix(overflow ? .max : max(0, end)) where current[layer].indices.contains(Int(id)) {
      current[layer][Int(id)] &+= 1
    }
  }

  /// Ends a step: its counts go into the window, or are forgotten.
  ///
  /// - Parameter isRecorded: false for steps of made-up tokens, and those that a ``BalancingSchedule`` doesn't need.
  /// - Returns: the counts of the step, `[layers][slots]`.
  @discardableResult
  public mutating func finishStep(isRecorded: Bool = true) -> [[Int32]] {
    let step = current
    for layer in current.indices {
      for slot in current[layer].indices { current[layer][slot] = 0 }
    }
    guard isRecorded else { return step }
    add(step, sign: 1)
    if steps.count < window {
      steps.append(step)
    } else {
      add(steps[oldest], sign: -1)
      steps[oldest] = step
      oldest = (oldest + 1) % window
    }
    return step
  }

  private mutating func add(_ step: [[Int32]], sign: Int) {
    for layer in step.indices {
      for slot in step[layer].indices { sums[layer][slot] += sign * Int(step[layer][slot]) }
    }
  }

  /// Forgets a layer's counts, whose slots mean other experts from now on.
  public mutating func clear(layer: Int) {
    let zeros = Array(repeating: Int32(0), count: slotCounts[layer])
    current[layer] = zeros
    for step in steps.indices { steps[step][layer] = zeros }
    sums[layer] = Array(repeating: 0, count: slotCounts[layer])
  }
}

extension ExpertPlacement {
  /// The tokens of each expert, from those of each slot.
  ///
  /// - Parameter slotLoads: `[slots]`
  /// - Returns: `[experts]`
  public func expertLoads(_ slotLoads: [Double]) -> [Double] {
    var loads = Array(repeating: 0.0, count: expertCount)
    for (expert, load) in zip(logical, slotLoads) { loads[expert.rawValue] += load }
    return loads
  }
}
