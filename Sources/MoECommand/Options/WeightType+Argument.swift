// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import ArgumentParser
public import MoE

extension WeightType: ExpressibleByArgument {
  public init?(argument: String) { try? self.init(parsing: argument) }

  public static var allValueStrings: [String] { allNames }
  public var defaultValueDescription: String { "\(self)" }
}
