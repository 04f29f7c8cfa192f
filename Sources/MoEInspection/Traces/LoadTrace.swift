// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import MoE
internal import Tensors

/// The tokens that went to each expert of each layer, step by step.
///
/// ```swift
/// let trace = try LoadTrace(opening: "day.moetrace")
/// let placements = try LeastMoveBalancer().placements(for: trace.totals, on: topology)
/// ```
///
/// `docs/traces.md` describes the file, and what is read besides it.
public struct LoadTrace: Sendable, Hashable {
  /// The numbers of the layers in the model.
  public let layers: [Int]
  public let expertCount: Int
  /// Experts of a token, where that is known.
  public let topK: Int?
  /// `[steps][layers · experts]`: counts of tokens, or any loads in proportion to them.
  public let steps: [[Double]]

  /// - Parameters:
  ///   - layers: nil for 0 and so on.
  ///   - file: for messages.
  /// - Throws: loads of another number or without a meaning, all at once.
  public init(
    layers: [Int]? = nil, layerCount: Int, expertCount: Int, topK: Int? = nil, steps: [[Double]], file: String? = nil
  ) throws(MoEError) {
    var faults: [Fault] = []
    func require(_ holds: Bool, _ message: String, expected: String, found: String) {
      if !holds { faults.append(Fault(.invalidValue, message, file: file, expected: expected, found: found)) }
    }
    require(layerCount > 0, "a trace without layers", expected: "1 at least", found: "\(layerCount)")
    require(expertCount > 0, "a trace without experts", expected: "1 at least", found: "\(expertCount)")
    require(!steps.isEmpty, "a trace without steps", expected: "1 at least", found: "0")
    let layers = layers ?? Array(0..<max(0, layerCount))
    require(
      layers.count == layerCount && Set(layers).count == layerCount && layers.allSatisfy { $0 >= 0 },
      "the numbers of the layers don't fit", expected: "\(layerCount) different ones", found: "\(layers)")
    require(topK.map { $0 > 0 } ?? true, "no such top-k", expected: "1 at least", found: "\(topK ?? 1)")
    for (step, loads) in steps.enumerated() where faults.count < 100 {
      guard loads.count == layerCount * expertCount else {
        require(
          false, "step \(step) has another size", expected: "\(layerCount) layers × \(expertCount) experts",
          found: "\(loads.count) loads")
        continue
      }
      let bad = loads.indices.filter { !loads[$0].isFinite || loads[$0] < 0 }
      guard let first = bad.first else { continue }
      require(
        false,
        "\(bad.count) load(s) of step \(step) that are no numbers of tokens, the first of layer "
          + "\(layers[first / expertCount]), expert \(first % expertCount)", expected: "finite and not negative",
        found: "\(loads[first])")
    }
    if faults.isEmpty && !steps.joined().reduce(0, +).isFinite {
      faults.append(Fault(.invalidValue, "the loads are too great to be added", file: file))
    }
    guard faults.isEmpty else { throw MoEError(faults) }
    self.layers = layers
    self.expertCount = expertCount
    self.topK = topK
    self.steps = steps
  }

  /// Sums over all steps, `[layers][experts]`.
  public var totals: [[Double]] { sum(steps[...]) }

  /// Sums over some steps, `[layers][experts]`.
  func sum(_ steps: ArraySlice<[Double]>) -> [[Double]] {
    var sums = Array(repeating: 0.0, count: layers.count * expertCount)
    for step in steps {
      for index in sums.indices { sums[index] += step[index] }
    }
    return rows(sums)
  }

  /// The loads of a step by layer.
  func rows(_ step: [Double]) -> [[Double]] {
    layers.indices.map { Array(step[$0 * expertCount..<($0 + 1) * expertCount]) }
  }

  /// The same loads in proportion, so that a step of a layer has so many in the mean.
  public func scaled(toStepLoad load: Double) throws(MoEError) -> LoadTrace {
    let mean = steps.joined().reduce(0, +) / Double(steps.count * layers.count)
    guard mean > 0 else { return self }
    return try LoadTrace(
      layers: layers, layerCount: layers.count, expertCount: expertCount, topK: topK,
      steps: steps.map { $0.map { $0 * load / mean } })
  }

  /// Runs of `count` steps as one step each; a last, shorter run is left out unless it is the only one.
  public func windows(of count: Int) -> [[[Double]]] {
    let count = max(1, min(count, steps.count))
    return stride(from: 0, through: steps.count - count, by: count).map { sum(steps[$0..<$0 + count]) }
  }
}

/// Collects the loads of a running layer into a trace.
///
/// ```swift
/// var recorder = TraceRecorder(layers: [3, 4], expertCount: 256, topK: 8)
/// recorder.record(routing, layer: 0)     // in each layer, as it runs
/// recorder.finishStep()
/// try recorder.trace().write(to: "day.moetrace")
/// ```
public struct TraceRecorder: Sendable {
  private let layers: [Int]
  private let expertCount: Int
  private let topK: Int?
  /// Steps that become one: fewer make a file smaller.
  private let every: Int
  private var finished: [[UInt32]] = []
  private var current: [UInt32]
  private var stepCount = 0

  public init(layers: [Int], expertCount: Int, topK: Int? = nil, every: Int = 1) {
    self.layers = layers
    self.expertCount = expertCount
    self.topK = topK
    self.every = max(1, every)
    current = Array(repeating: 0, count: layers.count * expertCount)
  }

  /// Counts a routing's experts; −1 and what is no expert isn't counted.
  ///
  /// - Parameters:
  ///   - layer: an index into the layers, not a layer's number.
  ///   - tokenCount: the tokens that count; those after them are padding. nil for all.
  public mutating func record(_ routing: Routing, layer: Int, tokenCount: Int? = nil) {
    let tokens = min(routing.tokenCount, max(0, tokenCount ?? .max))
    for id in routing.ids.prefix(tokens * routing.topK) where (0..<expertCount).contains(Int(id)) {
      current[layer * expertCount + Int(id)] &+= 1
    }
  }

  public mutating func finishStep() {
    stepCount += 1
    guard stepCount % every == 0 else { return }
    finished.append(current)
    current = Array(repeating: 0, count: current.count)
  }

  /// What was recorded, without the steps of an unfinished run.
  public func trace() throws(MoEError) -> LoadTrace {
    try LoadTrace(
      layers: layers, layerCount: layers.count, expertCount: expertCount, topK: topK,
      steps: finished.map { $0.map(Double.init) })
  }
}
