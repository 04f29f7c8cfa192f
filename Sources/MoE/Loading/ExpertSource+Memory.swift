// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import Checkpoints
internal import Tensors

extension ExpertSource {
  /// Experts whose tensors are in memory and belong to no checkpoint: plain numbers under the names of a layout.
  ///
  /// ```swift
  /// let layout = ExpertLayout.fused(gateUp: "gate_up_proj", down: "down_proj", isInputMajor: false)
  /// let source = try ExpertSource(
  ///   LayerSpecification(expertCount: 8, hiddenSize: 64, intermediateSize: 32), layout: layout,
  ///   tensors: [.init("gate_up_proj", .bf16, [8, 64, 64]), .init("down_proj", .bf16, [8, 64, 32])])
  /// let plan = try LoadPlan(source, on: CPUBackend(), weightType: .int4Group(32, isSymmetric: true))
  /// ```
  ///
  /// - Parameter specification: its types follow from the tensors.
  /// - Throws: everything that is missing, left over, of another type or of another shape.
  public init(
    _ specification: LayerSpecification, layout: ExpertLayout, tensors: [TensorDeclaration]
  ) throws(MoEError) {
    try specification.validate()
    var declared = Dictionary(tensors.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    var faults: [Fault] = []
    func take(_ name: String, _ shape: Shape) -> TensorRecord? {
      guard let tensor = declared.removeValue(forKey: name) else {
        faults.append(Fault(.missingTensor, "a tensor of the experts is missing", subject: name, expected: "\(shape)"))
        return nil
      }
      if tensor.shape != shape {
        faults.append(
          Fault(
            .shapeMismatch, "a tensor of the experts has another shape", subject: name, expected: "\(shape)",
            found: "\(tensor.shape)"))
      }
      if !LayerResolver.plainTypes.contains(tensor.elementType) {
        faults.append(
          Fault(
            .typeMismatch, "a tensor of the experts is of another type", subject: name, expected: "F32, BF16 or F16",
            found: tensor.elementType.rawValue))
      }
      return TensorRecord(inMemory: tensor)
    }
    var experts = (0..<specification.expertCount).map { _ in [MatrixSource]() }
    for (place, parts) in layout.matrices(of: specification.projections) {
      let sizes = specification.sizes(of: parts[0].projection)
      let isStacked = place.expertAxis != .none
      var first: MatrixSource?
      for expert in experts.indices {
        var matrix = first
        if matrix == nil {
          var made = MatrixSource(
            expert: LogicalExpert(rawValue: expert), scheme: Unquantized(.f32), stem: place.stem(expert: expert),
            rows: place.part == .whole ? sizes.rows : 2 * sizes.rows, columns: sizes.columns, parts: parts, pieces: [])
          for role in specification.roles {
            guard let tensor = take(place.name(role, expert: expert), place.shape(role, sizes)) else { continue }
            if role == .weight { made.scheme = Unquantized(tensor.elementType) }
            let axes: [StoredAxis] =
              role == .bias ? [.rows] : place.isInputMajor ? [.columns, .rows] : [.rows, .columns]
            made.add(role, tensor, axes, of: isStacked ? sizes.experts : 1)
          }
          matrix = made
          if isStacked { first = made }
        }
        if isStacked { matrix!.move(to: expert) }
        experts[expert].append(matrix!)
      }
    }
    faults += declared.keys.sorted().map {
      Fault(.unexpectedTensor, "the layout of the experts has no such tensor", subject: $0, expected: layout.name)
    }
    guard faults.isEmpty else { throw MoEError(faults) }
    self.init(specification: specification, layoutName: layout.name, experts: experts)
  }
}
