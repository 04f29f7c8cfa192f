// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import Tensors

/// A rule that places the experts of a layer by their loads: a pure function, so that all ranks compute the same.
///
/// ```swift
/// let balancer = try BalancerRegistry.standard.balancer(named: "least-move")
/// let topology = try BalancingTopology(expertCount: 4, slots: 6, ranks: 3)
/// let placements = try balancer.placements(for: [[10, 40, 20, 30]], on: topology)
/// ```
public protocol ExpertLoadBalancer: Sendable {
  /// As on the command line.
  var name: String { get }

  /// What of a topology this rule has no meaning for.
  func faults(of topology: BalancingTopology) -> [Fault]

  /// - Parameters:
  ///   - loads: `[experts]`, finite and not negative, in any unit.
  ///   - current: what the ranks hold now.
  func placement(
    for loads: [Double], on topology: BalancingTopology, from current: ExpertPlacement
  ) throws(MoEError) -> ExpertPlacement
}

extension ExpertLoadBalancer {
  public func faults(of topology: BalancingTopology) -> [Fault] { [] }

  /// Placements of all layers.
  ///
  /// - Parameters:
  ///   - loads: `[layers][experts]`
  ///   - current: of each layer; nil for the initial placement.
  /// - Throws: all faults of loads, placements and topology at once.
  public func placements(
    for loads: [[Double]], on topology: BalancingTopology, from current: [ExpertPlacement]? = nil
  ) throws(MoEError) -> [ExpertPlacement] {
    var faults = self.faults(of: topology)
    faults += loads.enumerated().flatMap { Self.faults(of: $1, layer: $0, expertCount: topology.expertCount) }
    if let current {
      if current.count != loads.count {
        faults.append(
          Fault(
            .invalidArgument, "the current placements are of other layers", expected: "\(loads.count) layers",
            found: "\(current.count)"))
      }
      if let other = current.first(where: { $0.expertCount != topology.expertCount }) {
        faults.append(
          Fault(
            .invalidArgument, "the current placements are of other experts", expected: "\(topology.expertCount)",
            found: "\(other.expertCount)"))
      }
    }
    guard faults.isEmpty else { throw MoEError(faults) }
    let initial = try topology.initialPlacement()
    var placements: [ExpertPlacement] = []
    for (layer, loads) in loads.enumerated() {
      placements.append(try placement(for: loads, on: topology, from: current?[layer] ?? initial))
    }
    return placements
  }

  private static func faults(of loads: [Double], layer: Int, expertCount: Int) -> [Fault] {
    let subject = "layer \(layer)"
    guard loads.count == expertCount else {
      return [
        Fault(
          .invalidArgument, "loads of another number of experts", subject: subject, expected: "\(expertCount)",
          found: "\(loads.count)")
      ]
    }
    let bad = loads.indices.filter { !loads[$0].isFinite || loads[$0] < 0 }
    if let first = bad.first {
      return [
        Fault(
          .invalidValue, "\(bad.count) load(s) that are no numbers of tokens, the first of expert \(first)",
          subject: subject, expected: "finite and not negative", found: "\(loads[first])")
      ]
    }
    guard loads.reduce(0, +).isFinite else {
      return [Fault(.invalidValue, "the loads are too great to be added", subject: subject)]
    }
    return []
  }
}

/// The balancers there are, by name.
public struct BalancerRegistry: Sendable {
  public var balancers: [any ExpertLoadBalancer]

  public init(_ balancers: [any ExpertLoadBalancer]) { self.balancers = balancers }

  public static let standard = Self([
    DeepSeekBalancer.hierarchical, DeepSeekBalancer.global, SlotPreservingBalancer(), LeastMoveBalancer(),
  ])

  public var names: [String] { balancers.map(\.name) }

  /// - Throws: `invalidArgument` that names those there are.
  public func balancer(named name: String) throws(MoEError) -> any ExpertLoadBalancer {
    if let balancer = balancers.first(where: { $0.name == name }) { return balancer }
    throw MoEError(
      .invalidArgument, "no such policy", expected: "one of " + names.joined(separator: ", "), found: name)
  }
}
