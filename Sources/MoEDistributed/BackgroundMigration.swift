// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import MoE

/// New placements of several layers, moved one layer at a time between the steps of a model that goes on serving.
///
/// ```swift
/// let migration = BackgroundMigration(zip(layers, placements))
/// while try !migration.advance() { try step() }
/// ```
public final class BackgroundMigration<B: Backend, C: Communicator> where C.Buffer == HostBuffer {
  /// A layer's experts and where they are to go.
  public typealias Layer = (RankedExperts<B, C>, ExpertPlacement)

  private var layers: [Layer]
  private var move: ExpertMove<B, C>?

  public init(_ layers: some Sequence<Layer>) { self.layers = layers.reversed() }

  /// The layers whose placement is not in charge yet.
  public var remaining: Int { layers.count }

  /// Begins the next layer, or looks whether it has arrived everywhere; called on all ranks between two steps.
  ///
  /// - Returns: whether all layers are done.
  /// - Throws: what a layer's move throws. Its old placement goes on serving, and the next call begins it afresh.
  public func advance() throws(MoEError) -> Bool {
    guard let (experts, placement) = layers.last else { return true }
    do throws(MoEError) {
      if let move {
        guard try move.advance() else { return false }
        self.move = nil
        layers.removeLast()
      } else {
        move = try experts.beginMove(to: placement)
      }
    } catch {
      move = nil
      throw error
    }
    return layers.isEmpty
  }
}
