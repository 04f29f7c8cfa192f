// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// Which parameter of a container of experts a checkpoint's tensor goes to: vLLM's `expert_params_mapping`.
///
/// A tensor whose name contains ``checkpointName`` belongs to the parameter with ``parameter`` in its place, at the
/// physical expert and projection named. Replicas have entries of their own.
///
/// ```swift
/// let placement = try ExpertPlacement.initial(expertCount: 2, redundant: 1)
/// let mapping = ExpertParameterMapping.entries(gate: "gate_proj", up: "up_proj", down: "down_proj", placement)
/// mapping.filter { $0.projection == .down }.map(\.checkpointName)
/// // experts.0.down_proj., experts.1.down_proj., experts.0.down_proj.
/// ```
public struct ExpertParameterMapping: Sendable, Hashable {
  /// The beginning of the parameter's name, for example `experts.w13_`; gate and up share one.
  public var parameter: String
  /// The part of the tensor's name, for example `experts.3.gate_proj.`
  public var checkpointName: String
  /// The slot; for fused tensors, which hold all experts, the part of the out axis instead (0 gate, 1 up).
  public var physicalExpert: PhysicalExpert
  public var projection: Projection

  public init(parameter: String, checkpointName: String, physicalExpert: PhysicalExpert, projection: Projection) {
    self.parameter = parameter
    self.checkpointName = checkpointName
    self.physicalExpert = physicalExpert
    self.projection = projection
  }

  /// What may stand between the parts of names.
  public struct Prefixes: Sendable, Hashable {
    /// Where the container's parameters live below `experts.`, such as `routed_experts.`
    public var routed: String
    /// LoRA's wrapper on the side of the parameters, and on that of the checkpoint: `base_layer.`
    public var parameterBase: String
    public var checkpointBase: String

    public init(routed: String = "", parameterBase: String = "", checkpointBase: String = "") {
      self.routed = routed
      self.parameterBase = parameterBase
      self.checkpointBase = checkpointBase
    }
  }

  /// The entries of per-expert tensors: for each physical expert in order gate, down and up.
  ///
  /// - Parameters:
  ///   - gate: the name of the gate projection; that of the only first projection where there is no gate.
  ///   - up: nil where experts have no gate.
  ///   - down: the name of the down projection.
  ///   - placement: the expert of each slot.
  ///   - prefixes: what names begin with, here and in the checkpoint.
  public static func entries(
    gate: String, up: String?, down: String, _ placement: ExpertPlacement, prefixes: Prefixes = Prefixes()
  ) -> [Self] {
    let names: [(Projection, String?)] = [(up == nil ? .up : .gate, gate), (.down, down), (.up, up)]
    return placement.logical.enumerated().flatMap { slot, expert in
      names.compactMap { projection, name in
        name.map {
          Self(
            parameter: "experts.\(prefixes.parameterBase)\(prefixes.routed)" + (projection == .down ? "w2_" : "w13_"),
            checkpointName: "experts.\(expert.rawValue).\($0).\(prefixes.checkpointBase)",
            physicalExpert: PhysicalExpert(rawValue: slot), projection: projection)
        }
      }
    }
  }

  /// The entries of fused tensors, `[experts, …]`: gate and up as parts of one, and down.
  public static func fusedEntries(gateUp: String, down: String, prefixes: Prefixes = Prefixes()) -> [Self] {
    let base = "experts.\(prefixes.parameterBase)\(prefixes.routed)"
    return [
      (Projection.gate, gateUp, 0, "w13_weight"), (.up, gateUp, 1, "w13_weight"), (.down, down, 0, "w2_weight"),
    ].map { projection, name, part, parameter in
      Self(
        parameter: base + parameter, checkpointName: "experts.\(name)", physicalExpert: PhysicalExpert(rawValue: part),
        projection: projection)
    }
  }
}
