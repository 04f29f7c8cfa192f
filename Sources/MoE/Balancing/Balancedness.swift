// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

extension ExpertPlacement {
  /// What each rank has to do, when the load of an expert is spread evenly over its replicas.
  ///
  /// - Parameter loads: `[experts]`, in any unit, such as tokens.
  public func rankLoads(_ loads: [Double]) -> [Double] {
    (0..<rankCount).map { rank in
      experts(of: rank).reduce(0) { $0 + loads[$1.rawValue] / Double(replicas[$1.rawValue].count) }
    }
  }

  /// The mean load of a rank over the greatest, 1 where all are even and where there is no load.
  public func balancedness(_ loads: [Double]) -> Double { Balancedness.of([rankLoads(loads)]) }
}

/// How evenly ranks are loaded: Σ mean / Σ max over layers, because ranks wait for the busiest in each of them.
public enum Balancedness {
  /// - Parameter rankLoads: `[layers][ranks]`
  public static func of(_ rankLoads: [[Double]]) -> Double {
    var (means, greatest) = (0.0, 0.0)
    for loads in rankLoads where !loads.isEmpty {
      means += loads.reduce(0, +) / Double(loads.count)
      greatest += loads.max()!
    }
    return greatest > 0 ? means / greatest : 1
  }

  /// Of many layers, each with its placement and the loads of its experts.
  public static func of(_ placements: [ExpertPlacement], loads: [[Double]]) -> Double {
    of(zip(placements, loads).map { $0.rankLoads($1) })
  }
}
