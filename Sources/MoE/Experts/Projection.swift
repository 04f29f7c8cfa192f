// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// One of the matrices of an expert. Logical shapes are `[out, in]`: gate and up `[I, H]`, down `[H, I]`.
public enum Projection: String, Sendable, Hashable, CaseIterable {
  /// w1
  case gate
  /// w3
  case up
  /// w2
  case down
}
