// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Glibc

/// What a launcher such as `mpirun` tells its processes through their environment, before MPI has started.
///
/// ```swift
/// Launcher.current?.size     // 4 under `mpirun -n 4`, nil without a launcher
/// ```
public struct Launcher: Sendable, Hashable {
  public enum Family: String, Sendable {
    case openMPI = "Open MPI"
    /// MPICH and what has its ABI: Intel MPI, MVAPICH.
    case mpich = "MPICH"
  }

  public let family: Family
  /// All ranks.
  public let size: Int
  public let rank: Int
  /// Ranks on this host, 1 where the launcher doesn't say.
  public let localSize: Int
  /// This rank among those on this host.
  public let localRank: Int

  /// The names of the variables: size, rank, ranks on this host, rank on this host.
  private static let variables: [(family: Family, names: [String])] = [
    (.openMPI, ["SIZE", "RANK", "LOCAL_SIZE", "LOCAL_RANK"].map { "OMPI_COMM_WORLD_" + $0 }),
    (.mpich, ["PMI_SIZE", "PMI_RANK", "MPI_LOCALNRANKS", "MPI_LOCALRANKID"]),
  ]

  /// The launcher that started this process.
  public static let current = Self { name in unsafe getenv(name).map { unsafe String(cString: $0) } }

  init?(environment: (String) -> String?) {
    for (family, names) in Self.variables {
      let values = names.map { environment($0).flatMap { Int($0) } }
      guard let size = values[0], let rank = values[1], size > 0, (0..<size).contains(rank) else { continue }
      self.family = family
      self.size = size
      self.rank = rank
      localSize = max(1, values[2] ?? 1)
      localRank = max(0, values[3] ?? 0)
      return
    }
    return nil
  }
}
