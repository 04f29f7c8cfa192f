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

  /// The family of a configuration: by `model_type`, then by class name.
  func match(_ configuration: ModelConfiguration) -> Architecture? {
    let types = configuration.everyString("model_type")
    let classes = configuration.everyString("architectures")
    return architectures.first { !$0.modelTypes.filter(types.contains).isEmpty }
      ?? architectures.first { !$0.classNames.filter(classes.contains).isEmpty }
  }

  /// Every family of this package.
  public static let standard = Self(
    Architecture.softmaxFamilies + Architecture.sigmoidFamilies + Architecture.groupedFamilies
      + Architecture.otherFamilies)
}
