// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import MoE
import Tensors
import Testing

/// Demands an error with exactly these codes, in any order, and with all `fragments` in its text.
@discardableResult
func expectFaults(
  _ codes: [Fault.Code], _ fragments: [String] = [], sourceLocation: SourceLocation = #_sourceLocation,
  _ body: () throws -> Void
) -> [Fault] {
  let error = #expect(throws: MoEError.self, sourceLocation: sourceLocation) { try body() }
  guard let error else { return [] }
  #expect(
    error.faults.map(\.code.rawValue).sorted() == codes.map(\.rawValue).sorted(), "\(error)",
    sourceLocation: sourceLocation)
  for fragment in fragments {
    #expect(error.description.contains(fragment), "no “\(fragment)” in: \(error)", sourceLocation: sourceLocation)
  }
  return error.faults
}

/// Demands an error with this code and perhaps others, and with all `fragments` in its text.
@discardableResult
func expectFault(
  _ code: Fault.Code, _ fragments: String..., sourceLocation: SourceLocation = #_sourceLocation,
  _ body: () throws -> Void
) -> [Fault] {
  let error = #expect(throws: MoEError.self, sourceLocation: sourceLocation) { try body() }
  guard let error else { return [] }
  #expect(error.faults.contains { $0.code == code }, "\(error)", sourceLocation: sourceLocation)
  for fragment in fragments {
    #expect(error.description.contains(fragment), "no “\(fragment)” in: \(error)", sourceLocation: sourceLocation)
  }
  return error.faults
}
