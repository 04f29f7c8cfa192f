// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import Checkpoints
internal import MoE
internal import Tensors

extension VerificationReport {
  /// The object of `moe verify --json`.
  ///
  /// - Parameter seconds: what it took, where that was measured.
  public func object(seconds: Double? = nil) -> JSONValue {
    [
      "schema": 1, "command": "verify", "path": .string(path), "original": .string(originalPath),
      "family": .string(architecture), "faithful": .bool(isFaithful),
      "layers": .array(
        layers.map {
          [
            "index": .integer($0.index), "format": .string($0.format), "original_format": .string($0.originalFormat),
          ]
        }),
      "matrices": .array(matrices.map(Self.object)),
      "tensors": .array(
        tensors.map {
          [
            "layer": .integer($0.layer), "name": .string($0.name), "relative_error": Self.number($0.relativeError),
            "faithful": .bool($0.isFaithful),
          ]
        }),
      "outputs": .array(outputs.map(Self.object)), "bytes_read": .integer(bytesRead), "weights": .integer(weightCount),
      "seconds": Self.number(seconds),
    ]
  }

  /// JSON has no infinity: what is not finite is null.
  private static func number(_ value: Double?) -> JSONValue {
    value.flatMap { $0.isFinite ? .number($0) : nil } ?? .null
  }

  private static func object(_ output: OutputVerification) -> JSONValue {
    [
      "layer": .integer(output.layer), "relative_error": number(output.relativeError),
      "routed_alike": .integer(output.routedAlike), "faithful": .bool(output.isFaithful),
      "faults": .array(output.faults.map { .string($0.description) }),
      "tokens": .array(
        output.tokens.map { token in
          [
            "experts": .array(token.experts.map { .integer($0) }), "routed_alike": .bool(token.isRoutedAlike),
            "relative_error": number(token.relativeError), "cosine": number(token.cosine),
            "excess_db": number(token.excess), "suspect": .bool(token.isSuspect),
          ]
        }),
    ]
  }

  private static func object(_ matrix: MatrixVerification) -> JSONValue {
    let place = matrix.place
    return [
      "layer": place.layer.map { .integer($0) } ?? .null, "expert": place.expert.map { .integer($0) } ?? .null,
      "shared": .bool(place.isShared), "projection": .string(place.projections[0].rawValue),
      "equal": .bool(matrix.isEqual), "sqnr_db": number(matrix.decibels),
      "rounding_sqnr_db": number(matrix.expectedDecibels), "cosine": number(matrix.cosine),
      "relative_error": number(matrix.relativeError), "greatest_error": number(Double(matrix.greatest.magnitude)),
      "greatest_at": [.integer(matrix.greatest.row), .integer(matrix.greatest.column)],
      "steps": number(matrix.steps), "sibling_distance_db": number(matrix.distance),
      "flags": .array(matrix.flags.map(\.rawValue).sorted().map { .string($0) }),
      "diagnosis": matrix.diagnosis.map { ["kind": .string($0.kind.rawValue), "text": .string($0.text)] } ?? .null,
    ]
  }
}
