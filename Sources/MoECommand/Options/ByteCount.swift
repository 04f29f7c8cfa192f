// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import ArgumentParser

/// A number of bytes on the command line: `80GB`, `512MiB`, `1000`.
struct ByteCount: ExpressibleByArgument, Sendable {
  let count: Int

  private static let units: [(name: String, size: Double)] = [
    ("TiB", 0x1p40), ("GiB", 0x1p30), ("MiB", 0x1p20), ("KiB", 0x1p10), ("TB", 1e12), ("GB", 1e9), ("MB", 1e6),
    ("kB", 1e3), ("B", 1), ("", 1),
  ]

  init?(argument: String) {
    guard let unit = Self.units.first(where: { argument.lowercased().hasSuffix($0.name.lowercased()) }),
      let value = Double(argument.dropLast(unit.name.count)), let count = Int(exactly: (value * unit.size).rounded()),
      count > 0
    else { return nil }
    self.count = count
  }
}
