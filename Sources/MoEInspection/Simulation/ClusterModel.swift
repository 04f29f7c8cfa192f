// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Glibc
public import MoE

/// What a rank and the network between ranks can do, for estimates of time.
public struct ClusterModel: Sendable, Hashable {
  /// Floating-point operations per second of a rank.
  public var computeRate: Double
  /// Bytes per second that a rank reads its weights at.
  public var memoryRate: Double
  /// Bytes per second that a rank sends, and as many that it receives.
  public var linkRate: Double
  /// Seconds that an exchange takes however little is sent.
  public var latency: Double

  public init(computeRate: Double, memoryRate: Double, linkRate: Double, latency: Double) {
    self.computeRate = computeRate
    self.memoryRate = memoryRate
    self.linkRate = linkRate
    self.latency = latency
  }

  /// Seconds until the last rank has what migrations bring: the busiest end of a link.
  public func seconds(for traffic: [LinkTraffic]) -> Double {
    var (sent, received): ([Int: Int], [Int: Int]) = ([:], [:])
    for link in traffic {
      sent[link.sender, default: 0] += link.bytes
      received[link.receiver, default: 0] += link.bytes
    }
    let greatest = max(sent.values.max() ?? 0, received.values.max() ?? 0)
    return greatest == 0 ? 0 : latency + Double(greatest) / linkRate
  }
}

/// The sizes of a layer that bytes and operations follow from.
public struct LayerCost: Sendable, Hashable {
  public var hiddenSize: Int
  public var intermediateSize: Int
  public var topK: Int
  public var bytesPerExpert: Int
  /// Bytes of an element of a row on its way to an expert's rank and back. This package sends 32 bits both ways.
  public var dispatchBytes: Double
  public var combineBytes: Double

  public init(
    hiddenSize: Int, intermediateSize: Int, topK: Int, bytesPerExpert: Int, dispatchBytes: Double = 4,
    combineBytes: Double = 4
  ) {
    self.hiddenSize = hiddenSize
    self.intermediateSize = intermediateSize
    self.topK = topK
    self.bytesPerExpert = bytesPerExpert
    self.dispatchBytes = dispatchBytes
    self.combineBytes = combineBytes
  }
}

/// What a step of one layer, or the sum over layers, moves and takes: bytes of the busiest rank, and seconds.
public struct StepCost: Sendable, Hashable {
  /// Bytes that the busiest rank sends or receives, whichever is more.
  public var dispatchBytes = 0.0
  /// Bytes of weights that the busiest rank reads.
  public var computeBytes = 0.0
  public var combineBytes = 0.0
  public var dispatchSeconds = 0.0
  public var computeSeconds = 0.0
  public var combineSeconds = 0.0

  public init() {}

  public var seconds: Double { dispatchSeconds + computeSeconds + combineSeconds }

  public static func += (a: inout Self, b: Self) {
    for part in parts { a[keyPath: part] += b[keyPath: part] }
  }

  public static func / (a: Self, divisor: Double) -> Self {
    var result = a
    for part in parts { result[keyPath: part] /= divisor }
    return result
  }

  private static var parts: [WritableKeyPath<Self, Double>] {
    [\.dispatchBytes, \.computeBytes, \.combineBytes, \.dispatchSeconds, \.computeSeconds, \.combineSeconds]
  }
}

extension ClusterModel {
  /// The cost of a step of a layer whose tokens are spread evenly over the ranks.
  ///
  /// A token's experts are taken for independent draws: it visits a rank that has the share p of the load with the
  /// probability 1 − (1 − p)^topK. Its row goes once to each rank that it visits; the rows of all its experts come back.
  /// A rank's compute takes the longer of its operations, 6·H·I for a row, and of reading the experts that have a row.
  ///
  /// - Parameter loads: tokens of each expert, `[experts]`.
  public func cost(of loads: [Double], on placement: ExpertPlacement, _ layer: LayerCost) -> StepCost {
    let rows = placement.rankLoads(loads)
    let total = rows.reduce(0, +)
    var cost = StepCost()
    guard total > 0 else { return cost }
    let tokens = total / Double(layer.topK)
    let away = 1 - 1 / Double(placement.rankCount)
    let visits = rows.map { tokens * (1 - pow(1 - $0 / total, Double(layer.topK))) }
    let sent = visits.reduce(0, +) / Double(placement.rankCount)
    let width = Double(layer.hiddenSize)
    cost.dispatchBytes = max(sent, visits.max()!) * away * width * layer.dispatchBytes
    cost.combineBytes = max(total / Double(placement.rankCount), rows.max()!) * away * width * layer.combineBytes
    for rank in rows.indices {
      let experts = placement.experts(of: rank).reduce(0.0) { sum, expert in
        sum + min(1, loads[expert.rawValue] / Double(placement.replicas[expert.rawValue].count))
      }
      let bytes = experts * Double(layer.bytesPerExpert)
      let operations = rows[rank] * 6 * width * Double(layer.intermediateSize)
      cost.computeBytes = max(cost.computeBytes, bytes)
      cost.computeSeconds = max(cost.computeSeconds, max(operations / computeRate, bytes / memoryRate))
    }
    if placement.rankCount > 1 {
      cost.dispatchSeconds = latency + cost.dispatchBytes / linkRate
      cost.combineSeconds = latency + cost.combineBytes / linkRate
    }
    return cost
  }
}
