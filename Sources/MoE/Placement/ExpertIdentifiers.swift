// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// An expert of the model, `0 ..< experts`: what a router chooses and a checkpoint names.
public struct LogicalExpert: RawRepresentable, Sendable, Hashable, Comparable {
  public let rawValue: Int
  public init(rawValue: Int) { self.rawValue = rawValue }
  public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// A slot among those of all ranks, `0 ..< experts + redundant experts`: a logical expert or a replica of one.
public struct PhysicalExpert: RawRepresentable, Sendable, Hashable, Comparable {
  public let rawValue: Int
  public init(rawValue: Int) { self.rawValue = rawValue }
  public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// A slot of a backend's storage on this rank.
public struct LocalExpert: RawRepresentable, Sendable, Hashable, Comparable {
  public let rawValue: Int
  public init(rawValue: Int) { self.rawValue = rawValue }
  public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}
