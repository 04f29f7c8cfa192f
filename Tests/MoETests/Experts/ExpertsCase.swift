// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import MoE
import Tensors

/// A layer of experts and a batch for it.
struct ExpertsCase: Sendable, CustomStringConvertible {
  var activation = ActivationCase.all[0]
  var experts = 5
  var hidden = 40
  var intermediate = 37
  var tokens = 3
  var topK = 2
  var hasBias = false
  var weightOnInput = false
  var elementType = ElementType.bf16

  var description: String {
    "\(activation), E \(experts), H \(hidden), I \(intermediate), T \(tokens), k \(topK), \(elementType)"
      + (hasBias ? ", bias" : "") + (weightOnInput ? ", weight on input" : "")
  }

  var specification: LayerSpecification {
    LayerSpecification(
      expertCount: experts, hiddenSize: hidden, intermediateSize: intermediate, activation: activation.activation,
      hasBias: hasBias, weightOnInput: weightOnInput, elementType: elementType)
  }

  func changed(_ change: (inout Self) -> Void) -> Self {
    var copy = self
    change(&copy)
    return copy
  }
}
