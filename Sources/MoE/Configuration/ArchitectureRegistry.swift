// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// The architectures that a program knows; a value, passed to ``MoEModel``.
///
/// ```swift
/// var registry = ArchitectureRegistry.standard
/// registry.register(Architecture("Mine", types: ["mine"], classes: ["MineForCausalLM"]))
/// let model = try MoEModel(opening: path, registry: registry)
/// ```
public struct ArchitectureRegistry: Sendable {
  public private(set) var architectures: [Architecture]

  public init(_ architectures: [Architecture]) { self.architectures = architectures }

  /// Adds a family; it takes precedence over those before it.
  public mutating func register(_ architecture: Architecture) { architectures.insert(architecture, at: 0) }

  /// The family of a configuration: by `model_type` and class name, by the former alone, by the latter alone.
  ///
  /// Both together, because Ling-2.0 has kept the `model_type` of Ling-1 and changed its router.
  func match(_ configuration: ModelConfiguration) -> Architecture? {
    let types = Set(configuration.everyString("model_type"))
    let classes = Set(configuration.everyString("architectures"))
    let ofType = architectures.filter { !types.isDisjoint(with: $0.modelTypes) }
    return ofType.first { !classes.isDisjoint(with: $0.classNames) } ?? ofType.first
      ?? architectures.first { !classes.isDisjoint(with: $0.classNames) }
  }

  /// Every family of this package.
  public static let standard = Self(
    Architecture.softmaxFamilies + Architecture.sigmoidFamilies + Architecture.groupedFamilies
      + Architecture.otherFamilies)
}
