// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import CMoEKernels

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// Routed experts in double precision and plain loops: what the kernels are held against.
struct ReferenceExpert {
  /// Row-major [outputs, inputs], values that the form holds.
  var weights: [moe_projection: [Float]] = [:]
  /// The codes behind the weights of coded forms.
  var coded: [moe_projection: CodedMatrix] = [:]
  var biases: [moe_projection: [Float]] = [:]

  init(_ shape: moe_expert_shape, random: inout Random) {
    for projection in shape.projections {
      let form = shape.form(projection), outputs = shape.outputs(projection), inputs = shape.inputs(projection)
      if form.bits == 0 {
        weights[projection] = random.floats(outputs * inputs, 2 / Float(inputs).squareRoot()).map {
          form.element.rounded($0)
        }
      } else {
        let matrix = CodedMatrix(form, outputs: outputs, inputs: inputs, random: &random)
        weights[projection] = matrix.values
        coded[projection] = matrix
      }
    }
    for projection in [moe_projection.gate, .up, .down] {
      biases[projection] = random.floats(shape.outputs(projection))
    }
  }

  /// down(act(scale · gate · x + bias, scale · up · x + bias)) + bias
  func output(_ x: ArraySlice<Float>, _ shape: moe_expert_shape, _ activation: moe_activation, scale: Float) -> [Double]
  {
    let intermediate = Int(shape.intermediate), hidden = Int(shape.hidden)
    let input = x.map { Double($0) }
    let biased = shape.has_bias
    let u = product(weights[.up]!, input, rows: intermediate)
    let g = shape.gated ? product(weights[.gate]!, input, rows: intermediate) : u
    let h = (0..<intermediate).map { i in
      let upper = u[i] * Double(scale) + (biased ? Double(biases[.up]![i]) : 0)
      let gated = shape.gated ? g[i] * Double(scale) + (biased ? Double(biases[.gate]![i]) : 0) : upper
      return activation.reference(gated, shape.gated ? upper : nil)
    }
    var y = product(weights[.down]!, h, rows: hidden)
    if biased { for n in 0..<hidden { y[n] += Double(biases[.down]![n]) } }
    return y
  }
}

/// W · x for a row-major W of `rows` rows.
func product(_ matrix: [Float], _ x: [Double], rows: Int) -> [Double] {
  unsafe matrix.withUnsafeBufferPointer { matrix in
    unsafe x.withUnsafeBufferPointer { x in
      var result = [Double](repeating: 0, count: rows)
      var next = 0
      for row in 0..<rows {
        var sum = 0.0
        var k = 0
        while k < x.count {
          unsafe sum += Double(matrix[next]) * x[k]
          next += 1
          k += 1
        }
        result[row] = sum
      }
      return result
    }
  }
}

extension moe_activation {
  /// f(g) · (u + beta); without `u`, f(g).
  func reference(_ gate: Double, _ up: Double?) -> Double {
    let before = limit.isNaN ? Double.infinity : Double(limit),
      after = limit_after.isNaN ? Double.infinity : Double(limit_after)
    let f = min(function(min(gate, before)), after)
    guard let up else { return f }
    var u = max(min(up, before), -before)
    if function == .situ && situ_linear_beta > 0 {
      u = Double(situ_linear_beta) * tanh(u / Double(situ_linear_beta))
    }
    return f * (max(min(u, after), -after) + Double(beta))
  }

  private func function(_ g: Double) -> Double {
    func sigmoid(_ x: Double) -> Double { 1 / (1 + exp(-x)) }
    switch function {
    case .silu: return g * sigmoid(Double(alpha) * g)
    case .geluErf: return g * 0.5 * erfc(-g * 0.5.squareRoot())
    case .geluTanh: return g * sigmoid(2 * (2 / Double.pi).squareRoot() * (g + 0.044715 * g * g * g))
    case .relu2: return max(g, 0) * max(g, 0)
    case .situ: return Double(situ_beta) * tanh(g / Double(situ_beta)) * sigmoid(g)
    @unknown default: fatalError()
    }
  }
}
