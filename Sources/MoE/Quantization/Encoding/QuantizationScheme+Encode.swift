// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Checkpoints
internal import Tensors

extension QuantizationScheme {
  /// Encodes a matrix, to the tensors that the scheme declares: of each the first type, arrangement and ending.
  ///
  /// Weights that are already values of the format, such as those of a decoder, come back unchanged where the format's
  /// parameters can be told from them; others are rounded as the format's own rules say.
  ///
  /// - Parameters:
  ///   - weights: `[rows, columns]`, row after row.
  ///   - rows: Outputs of the projection.
  ///   - columns: Its inputs.
  ///   - name: For messages.
  /// - Throws: `.invalidArgument` for another number of weights, `.shapeMismatch` for sizes that do not divide,
  ///   `.invalidValue` for weights that are not finite or too great for the format, `.unsupported` for a format that is
  ///   only read.
  public func encode(
    _ weights: [Float], rows: Int, columns: Int, name: String = ""
  ) throws(MoEError) -> StoredProjection {
    let faults = encodingFaults(weights, rows: rows, columns: columns, name: name)
    guard faults.isEmpty else { throw MoEError(faults) }
    let encoded: [TensorRole: [UInt8]]
    do throws(MoEError) {
      encoded = try makeEncoding(WeightMatrix(weights, rows: rows, columns: columns))
    } catch {
      var named = error
      for index in named.faults.indices where named.faults[index].subject == nil && !name.isEmpty {
        named.faults[index].subject = name
      }
      throw named
    }
    var stored = StoredProjection(name, rows: rows, columns: columns, [:])
    for tensor in tensors {
      guard let bytes = encoded[tensor.role] else { continue }
      let shape = tensor.shapes(rows: rows, columns: columns).first ?? [bytes.count]
      stored.tensors[tensor.role] = StoredTensor(tensor.elementTypes[0], shape, bytes)
    }
    return stored
  }

  /// The types and shapes that ``encode(_:rows:columns:name:)`` gives, without weights.
  ///
  /// - Throws: `.shapeMismatch` for sizes that do not divide, `.unsupported` for a format that is only read.
  public func encodedTensors(
    rows: Int, columns: Int, name: String = ""
  ) throws(MoEError) -> [(tensor: QuantizedTensor, header: ProjectionTensors.Header)] {
    let faults =
      boundsFault(rows: rows, columns: columns, name: name).map { [$0] }
      ?? sizeFaults(rows: rows, columns: columns, name: name)
    guard faults.isEmpty else { throw MoEError(faults) }
    // A matrix of the least size that divides tells which tensors are written, and how long those of any length are.
    let sample = try encode([], rows: 0, columns: columns, name: name)
    var headers: [(tensor: QuantizedTensor, header: ProjectionTensors.Header)] = []
    for tensor in tensors {
      guard let found = sample.tensors[tensor.role] else { continue }
      let shape = tensor.shapes(rows: rows, columns: columns).first ?? found.shape
      headers.append((tensor, ProjectionTensors.Header(found.elementType, shape)))
    }
    return headers
  }

  /// - Throws: `.unsupported`.
  public func makeEncoding(_ weights: WeightMatrix) throws(MoEError) -> [TensorRole: [UInt8]] {
    throw MoEError(
      .unsupported, "\(name) is read, not written", expected: WeightType.names,
      remedy: "write another format, or implement makeEncoding")
  }

  private func encodingFaults(_ weights: [Float], rows: Int, columns: Int, name: String) -> [Fault] {
    if let fault = boundsFault(rows: rows, columns: columns, name: name) { return [fault] }
    var faults = sizeFaults(rows: rows, columns: columns, name: name)
    let subject = name.isEmpty ? nil : name
    if rows * columns != weights.count {
      faults.append(
        Fault(
          .invalidArgument, "another number of weights than the sizes say", subject: subject,
          expected: "\(rows) × \(columns)", found: "\(weights.count)"))
    }
    // Rounding to few bits may nearly double a weight.
    let limit: Float = parameters.form == .dense16 ? .infinity : 0x1p127
    let wrong = weights.count { !($0.magnitude < limit) }
    if wrong > 0, let place = weights.firstIndex(where: { !($0.magnitude < limit) }) {
      let position = columns > 0 ? "[\(place / columns), \(place % columns)]" : "\(place)"
      let more = wrong > 1 ? ", and \(wrong - 1) more" : ""
      faults.append(
        Fault(
          .invalidValue, "a weight is not finite, or too great", subject: subject, expected: "below \(limit)",
          found: "\(weights[place]) at \(position)\(more)"))
    }
    return faults
  }

  private func sizeFaults(rows: Int, columns: Int, name: String) -> [Fault] {
    let subject = name.isEmpty ? nil : name
    return tensors.compactMap { tensor in
      guard tensor.isRequired, !tensor.layouts.contains([.any]),
        tensor.shapes(rows: rows, columns: columns).isEmpty,
        let axis = tensor.layouts[0].first(where: { $0.extent(rows: rows, columns: columns) == nil })
      else { return nil }
      let isRows = axis.extent == .rows
      let divisor = 1 << min((isRows ? rows : columns).trailingZeroBitCount, 7)
      return Fault(
        .shapeMismatch, "the matrix does not divide into the \(tensor.role)s of \(self.name)", subject: subject,
        expected: "\(isRows ? "out" : "in") a multiple of \(axis.step)", found: "[\(rows), \(columns)]",
        remedy: !isRows && divisor >= 16 && divisor < axis.step ? "a type with groups of \(divisor) divides it" : nil)
    }
  }
}

/// - Throws: `.unsupported` for a scheme whose activations have a stored scale: it comes from activations.
func refuseStaticInput(_ activations: ActivationScheme) throws(MoEError) {
  guard activations.isStatic else { return }
  throw MoEError(
    .unsupported, "a static scale of activations needs activations", expected: "a dynamic one", found: "\(activations)",
    remedy: "write a scheme whose activations are scaled dynamically")
}
