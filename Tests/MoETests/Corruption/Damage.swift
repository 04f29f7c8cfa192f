// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import MoE
import Tensors

/// A kind of damage, and what a check can know of it.
struct Damage: Sendable, CustomStringConvertible {
  enum Found: String, Sendable {
    case headers, values, never
  }

  let name: String
  let found: Found
  /// Where it can't be found: why.
  let reason: String?
  /// Whether it also exists in GGUF, and is found there in the same way.
  let isInGGUF: Bool
  /// Returns false where the format has nothing to damage in this way.
  let spoil: @Sendable (inout Specimen) throws -> Bool

  var description: String { name }

  init(
    _ name: String, _ found: Found, reason: String? = nil, gguf isInGGUF: Bool = false,
    _ spoil: @escaping @Sendable (inout Specimen) throws -> Bool
  ) {
    (self.name, self.found, self.reason, self.isInGGUF, self.spoil) = (name, found, reason, isInGGUF, spoil)
  }

  static let all = structure + configuration + numbers + experts
}
