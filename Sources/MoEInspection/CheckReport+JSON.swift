// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import Checkpoints
internal import MoE
internal import Tensors

extension CheckReport {
  /// The object of `moe check --json`.
  ///
  /// - Parameter seconds: what the check took, where that was measured.
  public func object(readsValues: Bool, seconds: Double? = nil) -> JSONValue {
    let layers = layers.map { layer -> JSONValue in
      [
        "index": .integer(layer.index), "prefix": .string(layer.prefix),
        "experts": layer.expertCount.map { .integer($0) } ?? .null, "shared": .bool(layer.hasSharedExperts),
        "format": layer.format.map { .string($0) } ?? .null, "complete": .bool(layer.isComplete),
        "values_read": .bool(layer.isRead),
      ]
    }
    var object: [String: JSONValue] = [
      "schema": 1, "command": "check", "path": .string(path),
      "family": architecture.map { .string($0) } ?? .null, "whole": .bool(isWhole),
      "values": .bool(readsValues), "errors": .integer(count(.error)), "warnings": .integer(count(.warning)),
      "notes": .integer(count(.note)), "layers": .array(layers), "findings": .array(findings.map(\.object)),
      "bytes_read": .integer(bytesRead), "weights": .integer(weightCount),
    ]
    if let seconds { object["seconds"] = .number(seconds) }
    return .object(object)
  }
}

extension Finding {
  fileprivate var object: JSONValue {
    func text(_ value: String?) -> JSONValue { value.map { .string($0) } ?? .null }
    return [
      "severity": .string(severity.rawValue), "code": .string(fault.code.rawValue),
      "layer": place.layer.map { .integer($0) } ?? .null, "expert": place.expert.map { .integer($0) } ?? .null,
      "shared": .bool(place.isShared), "projections": .array(place.projections.map { .string($0.rawValue) }),
      "tensor": text(fault.subject), "file": text(fault.file), "message": .string(fault.message),
      "expected": text(fault.expected), "found": text(fault.found), "remedy": text(fault.remedy),
    ]
  }
}
