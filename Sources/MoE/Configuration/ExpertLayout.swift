// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import Tensors

/// Where one projection of the experts stands in a checkpoint, and how it is arranged there.
public struct ProjectionLayout: Sendable, Hashable {
  /// How a tensor tells its experts apart.
  public enum ExpertAxis: Sendable, Hashable {
    /// A tensor for each expert.
    case none
    /// `[experts, …]`
    case leading
    /// The experts' rows follow each other in a 2-D tensor (DBRX).
    case merged
  }

  /// Which rows of the out axis belong to the projection.
  public enum Part: Sendable, Hashable {
    case whole
    /// The index-th half: gate rows first, then up.
    case half(Int)
    /// Every second row from the index on (gpt-oss).
    case alternate(Int)
  }

  /// The name below the layer without its ending; `{e}` stands for the expert.
  public var stem: String
  public var weightSuffix: String
  public var biasSuffix: String
  public var expertAxis: ExpertAxis
  /// `[in, out]` instead of `[out, in]`. Biases have no orientation.
  public var isInputMajor: Bool
  public var part: Part

  public init(
    stem: String, weightSuffix: String = ".weight", biasSuffix: String = ".bias", expertAxis: ExpertAxis,
    isInputMajor: Bool = false, part: Part = .whole
  ) {
    self.stem = stem
    self.weightSuffix = weightSuffix
    self.biasSuffix = biasSuffix
    self.expertAxis = expertAxis
    self.isInputMajor = isInputMajor
    self.part = part
  }

  /// The logical sizes a projection is checked against.
  public struct Sizes: Sendable, Hashable {
    public var experts: Int
    public var rows: Int
    public var columns: Int

    public init(experts: Int, rows: Int, columns: Int) {
      self.experts = experts
      self.rows = rows
      self.columns = columns
    }
  }

  /// What the names of an expert's tensors begin with.
  public func stem(expert: Int) -> String {
    guard let mark = stem.place(of: "{e}") else { return stem }
    return stem[..<mark.lowerBound] + String(expert) + stem[mark.upperBound...]
  }

  /// The name of the tensor of an expert.
  public func name(_ role: TensorRole, expert: Int) -> String {
    stem(expert: expert) + (role == .weight ? weightSuffix : biasSuffix)
  }

  /// The shape that the tensor must have.
  public func shape(_ role: TensorRole, _ sizes: Sizes) -> Shape {
    let out = part == .whole ? sizes.rows : 2 * sizes.rows
    var dimensions = role == .bias ? [out] : isInputMajor ? [sizes.columns, out] : [out, sizes.columns]
    switch expertAxis {
    case .none: break
    case .leading: dimensions.insert(sizes.experts, at: 0)
    case .merged: dimensions[0] *= sizes.experts
    }
    return Shape(dimensions)
  }
}

/// How the experts of a layer are named and arranged: one of the layouts that families use.
public struct ExpertLayout: Sendable, Hashable {
  /// For messages, for example `fused, input-major`.
  public var name: String
  /// nil where an expert has no gate.
  public var gate: ProjectionLayout?
  public var up: ProjectionLayout
  public var down: ProjectionLayout

  /// A layout of your own; most are one of those below.
  public init(name: String, gate: ProjectionLayout?, up: ProjectionLayout, down: ProjectionLayout) {
    self.name = name
    self.gate = gate
    self.up = up
    self.down = down
  }

  public subscript(projection: Projection) -> ProjectionLayout? {
    switch projection {
    case .gate: gate
    case .up: up
    case .down: down
    }
  }

  /// The projections that are there, those of one tensor together.
  func matrices(of projections: [Projection]) -> [(place: ProjectionLayout, parts: [MatrixSource.Part])] {
    var matrices: [(place: ProjectionLayout, parts: [MatrixSource.Part])] = []
    for projection in projections {
      guard let place = self[projection] else { continue }
      let part = MatrixSource.Part(projection: projection, rows: place.part)
      if let index = matrices.firstIndex(where: { $0.place.stem == place.stem }) {
        matrices[index].parts.append(part)
      } else {
        matrices.append((place, [part]))
      }
    }
    return matrices
  }

  /// Whether gate and up share a tensor.
  public var isFused: Bool { up.part != .whole }
}

// MARK: - The layouts

extension ExpertLayout {
  /// A matrix for each expert and projection, `[out, in]`: most families.
  public static func perExpert(_ prefix: String, gate: String?, up: String, down: String) -> Self {
    func projection(_ name: String) -> ProjectionLayout {
      ProjectionLayout(
        stem: prefix + "{e}." + name, weightSuffix: ".weight", biasSuffix: ".bias", expertAxis: .none,
        isInputMajor: false, part: .whole)
    }
    return Self(name: "per expert", gate: gate.map(projection), up: projection(up), down: projection(down))
  }

  /// All experts in a 3-D tensor for gate and up and another for down.
  public static func fused(
    gateUp: String, down: String, weightSuffix: String = "", biasSuffix: String = "_bias", isInputMajor: Bool,
    isInterleaved: Bool = false
  ) -> Self {
    func projection(_ stem: String, _ part: ProjectionLayout.Part) -> ProjectionLayout {
      ProjectionLayout(
        stem: stem, weightSuffix: weightSuffix, biasSuffix: biasSuffix, expertAxis: .leading,
        isInputMajor: isInputMajor, part: part)
    }
    return Self(
      name: "fused, " + (isInputMajor ? "input-major" : "output-major") + (isInterleaved ? ", interleaved" : ""),
      gate: projection(gateUp, isInterleaved ? .alternate(0) : .half(0)),
      up: projection(gateUp, isInterleaved ? .alternate(1) : .half(1)),
      down: projection(down, .whole))
  }

  /// All experts in a 3-D tensor for each projection, `[experts, out, in]` (Step-3, GGUF).
  public static func stacked(gate: String?, up: String, down: String) -> Self {
    func projection(_ stem: String) -> ProjectionLayout {
      ProjectionLayout(
        stem: stem, weightSuffix: ".weight", biasSuffix: ".bias", expertAxis: .leading, isInputMajor: false,
        part: .whole)
    }
    return Self(name: "stacked", gate: gate.map(projection), up: projection(up), down: projection(down))
  }

  /// DBRX: all experts' rows in 2-D tensors, down transposed.
  public static func merged(gate: String, up: String, down: String) -> Self {
    func projection(_ stem: String, isInputMajor: Bool) -> ProjectionLayout {
      ProjectionLayout(
        stem: stem, weightSuffix: "", biasSuffix: "_bias", expertAxis: .merged, isInputMajor: isInputMajor,
        part: .whole)
    }
    return Self(
      name: "merged", gate: projection(gate, isInputMajor: false), up: projection(up, isInputMajor: false),
      down: projection(down, isInputMajor: true))
  }

  /// One dense expert, `[out, in]`: the shared experts.
  public static func single(gate: String?, up: String, down: String) -> Self {
    func projection(_ stem: String) -> ProjectionLayout {
      ProjectionLayout(
        stem: stem, weightSuffix: ".weight", biasSuffix: ".bias", expertAxis: .none, isInputMajor: false, part: .whole)
    }
    return Self(name: "single", gate: gate.map(projection), up: projection(up), down: projection(down))
  }

  /// One dense expert with gate rows before up rows in one matrix (Granite).
  public static func singleFused(gateUp: String, down: String) -> Self {
    func projection(_ stem: String, _ part: ProjectionLayout.Part) -> ProjectionLayout {
      ProjectionLayout(
        stem: stem, weightSuffix: ".weight", biasSuffix: ".bias", expertAxis: .none, isInputMajor: false, part: part)
    }
    return Self(
      name: "single, fused", gate: projection(gateUp, .half(0)), up: projection(gateUp, .half(1)),
      down: projection(down, .whole))
  }
}
