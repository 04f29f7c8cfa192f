// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import MoE
public import Tensors

/// One thing that a check found.
public struct Finding: Sendable, Hashable {
  public enum Severity: String, Sendable, Hashable, CaseIterable, Comparable {
    case note, warning, error

    public static func < (a: Self, b: Self) -> Bool { a.order < b.order }

    private var order: Int {
      switch self {
      case .note: 0
      case .warning: 1
      case .error: 2
      }
    }
  }

  public var severity: Severity
  public var place: MoEModel.Place
  public var fault: Fault

  public init(_ severity: Severity, _ fault: Fault, at place: MoEModel.Place = MoEModel.Place()) {
    self.severity = severity
    self.place = place
    self.fault = fault
  }
}

extension MoEModel.Place: CustomStringConvertible {
  /// For example `layer 3, expert 17, gate and up`; empty for the model.
  public var description: String {
    let parts = [
      layer.map { "layer \($0)" }, isShared ? "shared experts" : expert.map { "expert \($0)" },
      projections.isEmpty ? nil : projections.map(\.rawValue).joined(separator: " and "),
    ]
    return parts.compactMap(\.self).joined(separator: ", ")
  }
}

extension Fault.Code {
  /// All weights of a projection are 0.
  public static let zeroWeights = Self(rawValue: "zeroWeights")
  /// All weights of a projection are the same number.
  public static let constantWeights = Self(rawValue: "constantWeights")
  /// The stored bytes of experts are the same.
  public static let identicalWeights = Self(rawValue: "identicalWeights")
  /// The weights of an expert are far greater or smaller than those of its siblings.
  public static let outlyingWeights = Self(rawValue: "outlyingWeights")
  /// Gate and up have scales of their own where some kernels know one.
  public static let differingScales = Self(rawValue: "differingScales")
  /// An entry of the ignore list names no module of the checkpoint.
  public static let unmatchedIgnore = Self(rawValue: "unmatchedIgnore")
  /// What a reader of the checkpoint noted.
  public static let remark = Self(rawValue: "remark")
}
