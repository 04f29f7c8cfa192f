// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Checkpoints
internal import Tensors

/// Which rows of an expert's tensors have been stored: each must be, once.
public struct StoredRows: Sendable {
  private struct Key: Hashable {
    var projection: Projection
    var role: TensorRole
  }

  private var ranges: [Key: [Range<Int>]] = [:]

  public init() {}

  /// Notes the rows of a slice.
  ///
  /// - Throws: `shapeMismatch` for a slice that is none of the layer's, `duplicateParameter` for rows noted before.
  public mutating func insert(_ slice: ParameterSlice, _ layout: Layout) throws(MoEError) {
    let specification = layout.specification
    guard specification.projections.contains(slice.projection), specification.roles.contains(slice.role) else {
      throw MoEError(.unexpectedTensor, "the layer has no \(slice.projection) \(slice.role)")
    }
    let size = specification.size(of: slice.projection)
    let (rows, columns) = (slice.rows, slice.role == .bias ? 1 : size.columns)
    let found =
      switch slice.content {
      case .dense(let view): view.columns
      case .codes(let weights): weights.columns
      }
    let ends = rows.upperBound % layout.rowAlignment == 0 || rows.upperBound == size.rows
    guard found == columns, rows.lowerBound >= 0, rows.upperBound <= size.rows, ends,
      rows.lowerBound % layout.rowAlignment == 0
    else {
      throw MoEError(
        .shapeMismatch, "rows of a \(slice.projection) \(slice.role) of another size than the layer's",
        expected: "rows of [\(size.rows), \(columns)]", found: "rows \(rows) of [\(rows.upperBound), \(found)]")
    }
    let key = Key(projection: slice.projection, role: slice.role)
    guard !ranges[key, default: []].contains(where: { $0.overlaps(rows) }) else {
      throw MoEError(.duplicateParameter, "rows \(rows) of the \(slice.projection) \(slice.role) are stored twice")
    }
    ranges[key] = (ranges[key, default: []] + [rows]).united
  }

  /// - Throws: `missingTensor` for every tensor whose rows are not all there.
  public func checkComplete(_ specification: LayerSpecification, _ slot: LocalExpert) throws(MoEError) {
    var faults: [Fault] = []
    for projection in specification.projections {
      for role in specification.roles {
        let found = ranges[Key(projection: projection, role: role)] ?? []
        let rows = specification.size(of: projection).rows
        guard found != [0..<rows] else { continue }
        faults.append(
          Fault(
            .missingTensor,
            "expert \(slot.rawValue) has no \(projection) \(role)" + (found.isEmpty ? "" : " in some rows"),
            expected: "rows 0..<\(rows)", found: found.isEmpty ? "nothing" : "rows \(found)"))
      }
    }
    guard faults.isEmpty else { throw MoEError(faults) }
  }
}
