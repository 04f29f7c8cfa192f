// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Checkpoints
public import Tensors

extension QuantizationScheme {
  /// All that is wrong with the tensors of a checkpoint for a matrix of this size, by their headers.
  ///
  /// - Parameters:
  ///   - found: The tensors that are there, by role.
  ///   - rows: Outputs of the projection.
  ///   - columns: Its inputs.
  ///   - experts: The extent of the leading axis where the tensors are stacked.
  public func faults(in found: ProjectionTensors, rows: Int, columns: Int, experts: Int? = nil) -> [Fault] {
    var faults: [Fault] = []
    for tensor in tensors {
      let present = tensor.suffixes.filter { found[$0] != nil }
      if present.count > 1 {
        faults.append(
          Fault(
            .duplicateParameter, "the \(tensor.role) is stored more than once", subject: found.stem,
            found: present.joined(separator: " and ")))
      }
      guard let suffix = present.first, let header = found[suffix] else {
        if tensor.isRequired { faults.append(missing(tensor, found.stem, found: found.endings)) }
        continue
      }
      faults += self.faults(
        tensor, header, rows: rows, columns: columns, experts: experts, subject: found.stem + suffix)
    }
    let known = Set(tensors.flatMap(\.suffixes) + [".bias", "_bias"])
    for suffix in found.tensors.keys.sorted() where !known.contains(suffix) {
      faults.append(
        Fault(
          .unexpectedTensor, "\(Self.formatName) has no such tensor", subject: found.stem + suffix,
          expected: tensors.compactMap(\.suffixes.first).joined(separator: ", ")))
    }
    return faults
  }

  /// All that is wrong with tensors in memory, but for their values.
  func faults(in stored: StoredProjection) -> [Fault] {
    if let fault = boundsFault(rows: stored.rows, columns: stored.columns, name: stored.name) { return [fault] }
    var faults: [Fault] = []
    for tensor in tensors {
      guard let found = stored.tensors[tensor.role] else {
        if tensor.isRequired {
          let roles = stored.tensors.keys.map(\.rawValue).sorted().joined(separator: ", ")
          faults.append(missing(tensor, stored.name, found: roles))
        }
        continue
      }
      let subject = stored.name + (tensor.suffixes.first ?? "")
      let header = ProjectionTensors.Header(found.elementType, found.shape, ggmlType: tensor.ggmlType)
      let wrong = self.faults(
        tensor, header, rows: stored.rows, columns: stored.columns, experts: nil, subject: subject)
      faults += wrong
      let size = found.shape.elementCount.flatMap { found.elementType.byteCount(of: $0) }
      if wrong.isEmpty, size != found.bytes.count {
        faults.append(
          Fault(
            .sizeMismatch, "the \(tensor.role) has not the bytes of its shape", subject: subject,
            expected: size.map { "\($0)" }, found: "\(found.bytes.count)"))
      }
    }
    return faults
  }

  /// What is wrong with the sizes of a matrix, or the bits of the scheme, whatever the tensors.
  func boundsFault(rows: Int, columns: Int, name: String) -> Fault? {
    let sizes = 0...LayerSpecification.largestSize
    guard sizes.contains(rows), sizes.contains(columns) else {
      return Fault(
        .invalidArgument, "a size is out of range", subject: name, expected: "0...\(sizes.upperBound)",
        found: "[\(rows), \(columns)]")
    }
    let parameters = self.parameters
    guard parameters.form == .dense16 || (1...8).contains(parameters.bits) else {
      return Fault(
        .invalidArgument, "a number of bits is out of range", subject: name, expected: "1...8",
        found: "\(parameters.bits)")
    }
    return nil
  }

  private func missing(_ tensor: QuantizedTensor, _ subject: String, found: String) -> Fault {
    Fault(
      .missingTensor, "\(Self.formatName) needs the \(tensor.role)", subject: subject,
      expected: tensor.suffixes.map { $0.isEmpty ? "(no ending)" : $0 }.joined(separator: " or "), found: found)
  }

  private func faults(
    _ tensor: QuantizedTensor, _ header: ProjectionTensors.Header, rows: Int, columns: Int, experts: Int?,
    subject: String
  ) -> [Fault] {
    let shape = header.shape
    var faults: [Fault] = []
    if !tensor.accepts(header.elementType, ggmlType: header.ggmlType) {
      faults.append(
        Fault(
          .typeMismatch, "the \(tensor.role) of \(name) has another type", subject: subject,
          expected: tensor.typeNames, found: header.ggmlType?.name ?? header.elementType.rawValue))
    }
    let shapes = tensor.shapes(rows: rows, columns: columns).map { Shape((experts.map { [$0] } ?? []) + $0.dimensions) }
    let isStacked = experts != nil
    let own = isStacked ? Shape(Array(shape.dimensions.dropFirst())) : shape
    if isStacked && shape.dimensions.first != experts || !tensor.accepts(own, rows: rows, columns: columns) {
      let layouts = tensor.layouts.map { "[" + $0.map(\.description).joined(separator: ", ") + "]" }
      faults.append(
        Fault(
          .shapeMismatch, "the \(tensor.role) of \(name) has another shape", subject: subject,
          expected: shapes.isEmpty
            ? "a matrix that divides into \(layouts.joined(separator: " or "))"
            : shapes.map(\.description).joined(separator: " or "),
          found: shapes.isEmpty ? "[\(rows), \(columns)]" : shape.description))
    }
    return faults
  }
}
