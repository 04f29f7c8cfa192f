// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import ArgumentParser
public import MoEInspection

extension TraceFormat: ExpressibleByArgument {
  /// For help texts.
  static var names: String { allCases.map(\.rawValue).joined(separator: ", ") }
}
