// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Checkpoints
internal import Tensors

extension LayerResolver {
  /// The first of `names` that exists, checked against the shapes that are allowed.
  mutating func tensor(
    _ names: [String], _ what: String, shapes: [Shape]?, isInteger: Bool = false
  ) -> TensorRecord? {
    let names = names.map(inBlock)
    guard let name = names.first(where: { tensors[$0] != nil }), let tensor = tensors[name] else {
      fault(
        .missingTensor, "\(what) is missing", subject: tensors.prefix + names[0],
        expected: names.count > 1 ? "one of " + names.joined(separator: ", ") : shapes.map { "\($0[0])" })
      return nil
    }
    consume(name, as: what)
    var isRight = true
    if let shapes, !shapes.contains(tensor.logicalShape) {
      fault(
        .shapeMismatch, "\(what) has another shape than the configuration declares", tensor: tensor,
        expected: shapes.map(\.description).joined(separator: " or "), found: "\(tensor.logicalShape)")
      isRight = false
    }
    let allowed: [ElementType] = isInteger ? [.i64, .i32] : [.bf16, .f16, .f32]
    if !allowed.contains(tensor.elementType), isInteger || tensor.ggmlType == nil {
      fault(
        .typeMismatch, "\(what) is of a type that can't be used here", tensor: tensor,
        expected: allowed.map(\.rawValue).joined(separator: ", "), found: tensor.typeName,
        remedy: tensor.elementType.bitWidth < 16 ? "only experts may be quantised" : nil)
      isRight = false
    }
    return isRight ? tensor : nil
  }

  /// Notes that a tensor was asked for; a second time it would count twice.
  mutating func consume(_ name: String, as what: String) {
    guard !consumed.insert(name).inserted else { return }
    fault(
      .ambiguousLayout, "the tensor has two meanings, and one of them is the \(what)", tensor: tensors[name],
      expected: "one meaning", remedy: "rename or remove it")
  }

  func inBlock(_ name: String) -> String { name.inBlock(block) }

  func exists(_ names: [String]) -> Bool { names.contains { tensors[inBlock($0)] != nil } }

  /// Tensors among the experts that no projection asked for.
  mutating func reportUnexpected(expertCount: Int) {
    defer { place.expert = nil }
    let unexpected = tensors.tensors.keys.filter { !consumed.contains($0) }
    for name in unexpected.sorted() {
      guard let root = expertRoots.first(where: name.hasPrefix) else { continue }
      place.expert = Int(name.dropFirst(root.count).prefix { $0 != "." })
      if architecture.hasImageExperts, let expert = place.expert, (expertCount..<2 * expertCount).contains(expert) {
        let text = "experts of images, and their gate, are not read: tokens of text alone are routed"
        if !notes.contains(text) { note(text) }
        continue
      }
      if name.place(of: ".lora_") != nil {
        fault(
          .unexpectedTensor, "a LoRA adapter, which is not applied", tensor: tensors[name]!,
          remedy: "merge the adapter into the weights first")
        continue
      }
      fault(
        .unexpectedTensor, "nothing uses this tensor of the MoE block", tensor: tensors[name]!,
        expected: "experts 0..<\(expertCount)")
    }
    for tensor in tensors.doubles {
      fault(.duplicateParameter, "the tensor is there with and without base_layer", tensor: tensor)
    }
  }
}

extension ExpertLayout {
  /// The layout with `{b}` replaced.
  func inBlock(_ block: String) -> Self {
    func substitute(_ place: ProjectionLayout) -> ProjectionLayout {
      var place = place
      place.stem = place.stem.inBlock(block)
      return place
    }
    return Self(name: name, gate: gate.map(substitute), up: substitute(up), down: substitute(down))
  }

  /// Whether any tensor of the layout is there, of any ending.
  func isPresent(in patterns: Set<String>, by projections: [Projection] = Projection.allCases) -> Bool {
    let stems = projections.compactMap { self[$0]?.stem }
    return patterns.contains { name in
      stems.contains { stem in
        guard name.hasPrefix(stem) else { return false }
        let next = name.dropFirst(stem.count).first
        return next == nil || next == "." || next == "_"
      }
    }
  }

  /// What stands before the experts' numbers or names, for example `mlp.experts.`
  var roots: Set<String> {
    Set(
      [gate, up, down].compactMap { $0?.stem }.compactMap { stem in
        stem.place(of: "experts.").map { String(stem[..<$0.upperBound]) }
          ?? stem.place(of: "{e}").map { String(stem[..<$0.lowerBound]) }
          ?? (stem.hasSuffix("_exps") ? stem + "." : nil)
      })
  }
}

extension LayerSpecification {
  func sizes(of projection: Projection) -> ProjectionLayout.Sizes {
    let size = size(of: projection)
    return ProjectionLayout.Sizes(experts: expertCount, rows: size.rows, columns: size.columns)
  }
}
