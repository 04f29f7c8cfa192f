// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import MoE
internal import Tensors

/// Where the experts of all layers of a model stand.
///
/// ```swift
/// let placement = try ModelPlacement(opening: "place.json")
/// placement.placements[0].replicaCounts
/// ```
public struct ModelPlacement: Sendable, Hashable {
  /// The numbers of the layers in the model.
  public let layers: [Int]
  /// Of each layer; all of the same numbers of experts, slots and ranks.
  public let placements: [ExpertPlacement]

  public var expertCount: Int { placements.first?.expertCount ?? 0 }
  public var slotCount: Int { placements.first?.logical.count ?? 0 }
  public var rankCount: Int { placements.first?.rankCount ?? 1 }
  /// `[layers][slots]`
  public var physicalToLogical: [[Int]] { placements.map { $0.logical.map(\.rawValue) } }

  /// - Precondition: there are as many layers as placements.
  public init(layers: [Int], _ placements: [ExpertPlacement]) {
    precondition(layers.count == placements.count, "\(layers.count) layers, \(placements.count) placements")
    self.layers = layers
    self.placements = placements
  }

  /// - Parameters:
  ///   - map: `[layers][slots]`, the expert of each slot.
  ///   - layers: nil for 0 and so on.
  ///   - file: for messages.
  /// - Throws: the faults of all layers.
  public init(
    physicalToLogical map: [[Int]], layers: [Int]? = nil, expertCount: Int, ranks: Int, file: String? = nil
  ) throws(MoEError) {
    let layers = layers ?? Array(map.indices)
    var faults: [Fault] = []
    if map.isEmpty || layers.count != map.count {
      faults.append(
        Fault(
          .invalidValue, "a placement of another number of layers", expected: "\(max(1, layers.count))",
          found: "\(map.count)"))
    }
    if let other = map.first(where: { $0.count != map[0].count }) {
      faults.append(
        Fault(
          .invalidValue, "layers have different numbers of slots", expected: "\(map[0].count)",
          found: "\(other.count)"))
    }
    var placements: [ExpertPlacement] = []
    for (layer, slots) in zip(layers, map) {
      do throws(MoEError) {
        placements.append(
          try ExpertPlacement(physicalToLogical: slots, expertCount: expertCount, ranks: ranks, name: "layer \(layer)"))
      } catch {
        faults += error.faults
      }
    }
    guard faults.isEmpty else {
      throw MoEError(
        faults.map { fault in
          var fault = fault
          fault.file = file
          return fault
        })
    }
    self.init(layers: layers, placements)
  }
}
