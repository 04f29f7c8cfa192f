// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// What a check of a checkpoint found.
public struct CheckReport: Sendable {
  /// The folder or the file that was checked.
  public var path: String
  /// The family's name; nil where the checkpoint could not be opened.
  public var architecture: String?
  /// All MoE layers that were asked for, in ascending order.
  public var layers: [Layer]
  /// Errors first, then by place.
  public var findings: [Finding]
  /// Of experts and of what routes to them.
  public var bytesRead: Int
  /// Weights that were decoded.
  public var weightCount: Int

  /// A layer of the checkpoint, whole or not.
  public struct Layer: Sendable, Hashable {
    public var index: Int
    public var prefix: String
    /// nil where the configuration gives none.
    public var expertCount: Int?
    public var hasSharedExperts: Bool
    /// Of the routed experts; nil where it can't be told.
    public var format: String?
    /// Whether every tensor is there, once, and of the declared shape and type.
    public var isComplete: Bool
    /// Whether the values of all tensors were read.
    public var isRead: Bool
  }

  /// Whether there is no error.
  public var isWhole: Bool { !findings.contains { $0.severity == .error } }

  public func count(_ severity: Finding.Severity) -> Int { findings.count { $0.severity == severity } }
}
