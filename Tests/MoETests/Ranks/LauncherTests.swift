// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Testing

@testable import MoE

/// What launchers say in the environment.
@Suite struct LauncherTests {
  private func launcher(_ variables: [String: String]) -> Launcher? { Launcher { variables[$0] } }

  @Test func openMPI() throws {
    let found = try #require(
      launcher([
        "OMPI_COMM_WORLD_SIZE": "8", "OMPI_COMM_WORLD_RANK": "5", "OMPI_COMM_WORLD_LOCAL_SIZE": "4",
        "OMPI_COMM_WORLD_LOCAL_RANK": "1",
      ]))
    #expect(found.family == .openMPI && found.size == 8 && found.rank == 5)
    #expect(found.localSize == 4 && found.localRank == 1)
  }

  @Test func mpich() throws {
    let found = try #require(launcher(["PMI_SIZE": "3", "PMI_RANK": "2"]))
    #expect(found.family == .mpich && found.size == 3 && found.rank == 2)
    #expect(found.localSize == 1 && found.localRank == 0)
    #expect(launcher(["PMI_SIZE": "3", "PMI_RANK": "2", "MPI_LOCALNRANKS": "3"])?.localSize == 3)
  }

  @Test(arguments: [
    [:], ["PMI_SIZE": "2"], ["PMI_SIZE": "2", "PMI_RANK": "2"], ["PMI_SIZE": "x", "PMI_RANK": "0"],
    ["OMPI_COMM_WORLD_SIZE": "0", "OMPI_COMM_WORLD_RANK": "0"],
  ])
  func none(variables: [String: String]) { #expect(launcher(variables) == nil) }
}
