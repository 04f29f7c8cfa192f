// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import MoE
import Tensors
import Testing

/// A tile is the same whatever is decoded with it.
@Suite struct QuantizationTileTests {
  @Test(arguments: RandomProjection.schemes.indices) func oddTiles(index: Int) throws {
    let scheme = RandomProjection.schemes[index]
    let stored = RandomProjection.make(scheme)
    let decoder = try scheme.decoder(of: stored)
    let whole = decoder.decode()
    #expect(whole.count == stored.rows * stored.columns)
    #expect(Set(whole.map(\.bitPattern)).count > 1, "\(scheme.name) decodes to one value")
    let tiles = [
      (0..<1, 0..<1), (0..<96, 0..<128), (3..<8, 5..<38), (95..<96, 127..<128), (17..<31, 31..<33), (0..<7, 0..<128),
      (40..<96, 99..<100), (5..<5, 3..<9), (9..<12, 64..<64),
    ]
    for (rows, columns) in tiles {
      let tile = try decoder.decode(rows: rows, columns: columns)
      let expected = rows.flatMap { row in columns.map { whole[row * 128 + $0].bitPattern } }
      #expect(tile.map(\.bitPattern) == expected, "\(scheme.name) \(rows) \(columns)")
    }
  }

  @Test(arguments: [(0..<97, 0..<1), (0..<1, 0..<129), (96..<97, 0..<1), (-1..<1, 0..<1)])
  func outside(rows: Range<Int>, columns: Range<Int>) throws {
    let scheme = MXFP4()
    let decoder = try scheme.decoder(of: RandomProjection.make(scheme))
    expectFaults([.invalidArgument], ["outside"]) { _ = try decoder.decode(rows: rows, columns: columns) }
  }

  /// What a scheme says of itself fits together.
  @Test(arguments: RandomProjection.schemes.indices) func declarations(index: Int) {
    let scheme = RandomProjection.schemes[index]
    #expect(!scheme.name.isEmpty && scheme.tensors.first?.role == .weight)
    let roles = scheme.tensors.map(\.role)
    #expect(Set(roles).count == roles.count, "\(scheme.name)")
    let suffixes = scheme.tensors.flatMap(\.suffixes)
    #expect(Set(suffixes).count == suffixes.count, "\(scheme.name)")
    #expect(scheme.parameters.isSymmetric || scheme.tensor(.zeroPoint)?.isRequired == true)
  }
}
