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
    consumed.insert(name)
    var isRight = true
    if let shapes, !shapes.contains(tensor.shape) {
      fault(
        .shapeMismatch, "\(what) has another shape than the configuration declares", tensor: tensor,
        expected: shapes.map(\.description).joined(separator: " or "), found: "\(tensor.shape)")
      isRight = false
    }
    let allowed: [ElementType] = isInteger ? [.i64, .i32] : [.bf16, .f16, .f32]
    if !allowed.contains(tensor.elementType) {
      fault(
        .typeMismatch, "\(what) is of a type that can't be used here", tensor: tensor,
        expected: allowed.map(\.rawValue).joined(separator: ", "), found: tensor.elementType.rawValue,
        remedy: tensor.elementType.bitWidth < 16 ? "quantised tensors are not read by this version" : nil)
      isRight = false
    }
    return isRight ? tensor : nil
  }

  func inBlock(_ name: String) -> String { name.inBlock(block) }

  func exists(_ names: [String]) -> Bool { names.contains { tensors[inBlock($0)] != nil } }

  /// Tensors among the experts that no projection asked for.
  mutating func reportUnexpected(expertCount: Int) {
    for name in tensors.tensors.keys.sorted()
    where !consumed.contains(name) && expertRoots.contains(where: name.hasPrefix) {
      fault(
        .unexpectedTensor, "nothing uses this tensor of the MoE block", tensor: tensors[name]!,
        expected: "experts 0..<\(expertCount)")
    }
  }

  /// The fault of a layer all of whose experts are quantised, told by the tensors and not by the configuration.
  func quantizedExperts(_ candidates: [ExpertLayout]) -> Fault? {
    let places = candidates.flatMap { layout in Projection.allCases.compactMap { layout[$0] } }
    var plain = 0
    var example: TensorRecord?
    for (name, tensor) in tensors.tensors.sorted(by: { $0.key < $1.key }) {
      guard let ending = places.lazy.compactMap({ $0.ending(of: name) }).first else { continue }
      if Self.quantizedEndings.contains(String(ending)) {
        example = example ?? tensor
      } else if ending.isEmpty || ending == ".weight" {
        if Self.quantizedTypes.contains(tensor.elementType) { example = example ?? tensor } else { plain += 1 }
      }
    }
    guard let example, plain == 0 else { return nil }
    let method = ["quantization_config", "compression_config"].lazy
      .compactMap { try? configuration.string($0 + ".quant_method") }.first
    return Fault(
      .unsupported, "quantised experts are not read by this version", file: catalog.path(of: example),
      subject: example.name, expected: "weights of type BF16, F16 or F32",
      found: "\(example.elementType)" + (method.map { ", quantised by \($0)" } ?? ""),
      remedy: "use a checkpoint that is not quantised")
  }

  private static let quantizedEndings: Set = [".qweight", ".weight_packed", "_blocks", "_packed"]
  private static let quantizedTypes: Set<ElementType> = [
    .f8e4m3, .f8e5m2, .f8e4m3fnuz, .f8e5m2fnuz, .f8e8m0, .f6e2m3, .f6e3m2, .f4, .i8, .u8, .i32,
  ]
}

extension ProjectionLayout {
  /// What follows the stem in a name of any expert; nil for other names.
  fileprivate func ending(of name: String) -> Substring? {
    guard let mark = stem.place(of: "{e}") else { return name.hasPrefix(stem) ? name.dropFirst(stem.count) : nil }
    let (head, tail) = (stem[..<mark.lowerBound], stem[mark.upperBound...])
    guard name.hasPrefix(head) else { return nil }
    let rest = name.dropFirst(head.count).drop { $0.isASCII && $0.isNumber }
    return rest.hasPrefix(tail) ? rest.dropFirst(tail.count) : nil
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
      })
  }
}

extension LayerSpecification {
  func sizes(of projection: Projection) -> ProjectionLayout.Sizes {
    let size = size(of: projection)
    return ProjectionLayout.Sizes(experts: expertCount, rows: size.rows, columns: size.columns)
  }
}
