// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import CMoEInterface
internal import Checkpoints
internal import MoE
internal import Tensors

/// `moe_weights`, read and checked: the experts of a layer in the caller's memory.
struct Weights {
  let source: ExpertSource
  private var tensors: [String: TensorArgument] = [:]

  /// - Throws: everything that is wrong with them.
  init(_ weights: moe_weights) throws(MoEError) {
    let activation = try unsafe Self.activation(weights)
    var faults: [Fault] = []
    var declarations: [TensorDeclaration] = []
    for unsafe(name, tensor) in unsafe Self.named(weights) where unsafe tensor.data != nil {
      do throws(MoEError) {
        let isBias = name.hasSuffix("bias")
        let argument = try unsafe TensorArgument(
          tensor, name, of: TensorArgument.floats, shape: Array(repeating: nil, count: isBias ? 2 : 3))
        guard argument.isContiguous else {
          throw MoEError(
            .invalidArgument, "weights must lie without gaps", subject: name, expected: "row after row",
            found: "strides \(argument.strides)")
        }
        tensors[name] = argument
        declarations.append(TensorDeclaration(name, argument.elementType, Shape(argument.shape)))
      } catch {
        faults += error.faults
      }
    }
    let isFused = unsafe weights.gate_up.data != nil
    guard let down = tensors["down"], let up = tensors[isFused ? "gate_up" : "up"] else {
      if faults.isEmpty { throw nullArgument(unsafe weights.down.data == nil ? "down" : "up") }
      throw MoEError(faults)
    }
    guard faults.isEmpty else { throw MoEError(faults) }
    let isInputMajor = unsafe weights.input_major != 0
    let specification = LayerSpecification(
      expertCount: down.shape[0], hiddenSize: up.shape[isInputMajor ? 1 : 2],
      intermediateSize: down.shape[isInputMajor ? 1 : 2], activation: activation,
      hasBias: declarations.contains { $0.name.hasSuffix("bias") }, weightOnInput: unsafe weights.weight_on_input != 0)
    source = try ExpertSource(
      specification,
      layout: Self.layout(
        isFused: isFused, isGated: activation.isGated, isInputMajor: isInputMajor,
        isInterleaved: unsafe weights.interleaved != 0),
      tensors: declarations)
  }

  /// Calls with the bytes of all tensors, by the names that ``source`` has.
  func load<B: Backend>(_ plan: LoadPlan, into storage: B.Storage, of backend: B) throws(MoEError) {
    let memory = unsafe tensors.mapValues { tensor in
      unsafe UnsafeRawBufferPointer(start: tensor.base, count: tensor.count * tensor.elementType.bitWidth / 8)
    }
    try unsafe plan.execute(from: memory, into: storage, of: backend)
  }

  static func activation(_ weights: moe_weights) throws(MoEError) -> Activation {
    var activation = try Activation(named: unsafe text(weights.activation, "activation"))
    for (name, value) in unsafe [("alpha", weights.alpha), ("limit", weights.limit)]
    where !(value >= 0 && value.isFinite) {
      throw MoEError(
        .invalidArgument, "no parameter of an activation", subject: name, expected: "0 or a finite number above it",
        found: "\(value)")
    }
    if unsafe weights.alpha != 0 { activation.alpha = unsafe weights.alpha }
    if unsafe weights.limit != 0 { activation.limit = unsafe weights.limit }
    return activation
  }

  private static func named(_ weights: moe_weights) -> [(String, moe_tensor)] {
    unsafe [
      ("gate_up", weights.gate_up), ("gate", weights.gate), ("up", weights.up), ("down", weights.down),
      ("gate_up_bias", weights.gate_up_bias), ("gate_bias", weights.gate_bias), ("up_bias", weights.up_bias),
      ("down_bias", weights.down_bias),
    ]
  }

  private static func layout(
    isFused: Bool, isGated: Bool, isInputMajor: Bool, isInterleaved: Bool
  ) -> ExpertLayout {
    guard !isFused else {
      return .fused(gateUp: "gate_up", down: "down", isInputMajor: isInputMajor, isInterleaved: isInterleaved)
    }
    func place(_ stem: String) -> ProjectionLayout {
      ProjectionLayout(
        stem: stem, weightSuffix: "", biasSuffix: "_bias", expertAxis: .leading, isInputMajor: isInputMajor)
    }
    return ExpertLayout(
      name: "a tensor for each projection", gate: isGated ? place("gate") : nil, up: place("up"), down: place("down"))
  }
}
