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
  /// Row-major [intermediate, hidden] (gate, up) and [hidden, intermediate] (down), values that the element type holds.
  var gate: [Float], up: [Float], down: [Float]
  var gateBias: [Float], upBias: [Float], downBias: [Float]

  init(_ shape: moe_expert_shape, random: inout Random) {
    let hidden = Int(shape.hidden), intermediate = Int(shape.intermediate), element = shape.element
    func matrix(_ inputs: Int, _ count: Int) -> [Float] {
      random.floats(count, 2 / Float(inputs).squareRoot()).map { element.rounded($0) }
    }
    gate = matrix(hidden, hidden * intermediate)
    up = matrix(hidden, hidden * intermediate)
    down = matrix(intermediate, hidden * intermediate)
    gateBias = random.floats(intermediate)
    upBias = random.floats(intermediate)
    downBias = random.floats(hidden)
  }

  /// down(act(scale · gate · x + bias, scale · up · x + bias)) + bias
  func output(_ x: ArraySlice<Float>, _ shape: moe_expert_shape, _ activation: moe_activation, scale: Float) -> [Double]
  {
    let intermediate = Int(shape.intermediate), hidden = Int(shape.hidden)
    let input = x.map { Double($0) }
    let biased = shape.has_bias
    let u = product(up, input, rows: intermediate)
    let g = shape.gated ? product(gate, input, rows: intermediate) : u
    let h = (0..<intermediate).map { i in
      let upper = u[i] * Double(scale) + (biased ? Double(upBias[i]) : 0)
      let gated = shape.gated ? g[i] * Double(scale) + (biased ? Double(gateBias[i]) : 0) : upper
      return activation.reference(gated, shape.gated ? upper : nil)
    }
    var y = product(down, h, rows: hidden)
    if biased { for n in 0..<hidden { y[n] += Double(downBias[n]) } }
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
