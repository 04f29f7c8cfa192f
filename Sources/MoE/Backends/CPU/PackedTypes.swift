// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import CMoEKernels
internal import Tensors

extension LayerSpecification {
  /// The kernels' layout of an expert.
  ///
  /// - Throws: `unsupportedByBackend` for a type without kernels or a shape that can't be counted.
  func packedLayout() throws(MoEError) -> moe_expert_layout {
    guard let element = elementType.packed else {
      throw MoEError(
        .unsupportedByBackend, "the CPU backend has no kernels for weights of type \(elementType)",
        expected: "BF16, F16 or F32")
    }
    func form(_ projection: Projection) -> moe_form {
      codes[projection]?.packed(columns: size(of: projection).columns) ?? moe_form_dense(element)
    }
    let layout = moe_expert_layout_make(
      moe_expert_shape(
        hidden: Int64(hiddenSize), intermediate: Int64(intermediateSize), gate: form(.gate), up: form(.up),
        down: form(.down), gated: activation.isGated, has_bias: hasBias))
    guard layout.bytes > 0 else {
      throw MoEError(
        .unsupportedByBackend,
        "an expert of hidden size \(hiddenSize) and intermediate size \(intermediateSize) is no shape")
    }
    return layout
  }
}

extension ElementType {
  var packed: moe_element? {
    switch self {
    case .f32: .f32
    case .f16: .f16
    case .bf16: .bf16
    default: nil
    }
  }
}

extension CodedForm {
  func packed(columns: Int) -> moe_form {
    var form = moe_form_coded(Int32(bits), Int64(group ?? 0), scale.packed)
    form.integral = isIntegral
    form.halves = areHalves
    switch correction {
    case .none: break
    case .zero(let number):
      form.correction = .zero
      form.correction_number = number.packed
    case .minimum(let number):
      form.correction = .minimum
      form.correction_number = number.packed
    }
    if let factor {
      // One for all columns is one for a group that none exceeds.
      form.super_group = Int64(factor.group ?? (columns + (group ?? 8) - 1) / (group ?? 8) * (group ?? 8))
      form.factor = factor.number.packed
    }
    return form
  }
}

extension CodedForm.Number {
  var packed: moe_number {
    switch self {
    case .f32: .f32
    case .f16: .f16
    case .bf16: .bf16
    case .e8m0: .e8m0
    case .e4m3: .e4m3fn
    case .u8: .u8
    case .i8: .i8
    }
  }
}

extension ActivationPrecision {
  /// What the kernels round to; nil for what they don't.
  var packed: moe_activations? {
    switch self {
    case .f32: .f32
    case .bf16: .bf16
    case .int8: .int8
    case .fp8, .declared: nil
    }
  }
}

extension Projection {
  var packed: moe_projection {
    switch self {
    case .gate: .gate
    case .up: .up
    case .down: .down
    }
  }
}

extension Activation {
  var packed: moe_activation {
    var result: moe_activation
    switch function {
    case .silu: result = moe_activation_make(.silu)
    case .gelu: result = moe_activation_make(.geluErf)
    case .geluTanh: result = moe_activation_make(.geluTanh)
    case .relu2: result = moe_activation_make(.relu2)
    case .situ(let beta, let upBeta):
      result = moe_activation_make(.situ)
      result.situ_beta = beta
      result.situ_linear_beta = upBeta
    }
    result.alpha = alpha
    result.beta = beta
    result.limit = limit ?? .nan
    result.limit_after = limitAfter ?? .nan
    return result
  }
}
