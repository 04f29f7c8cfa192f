// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import CMoEKernels
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

@Suite struct ActivationTests {
  static func activate(_ activation: moe_activation, gate: [Float]?, up: [Float], isa: moe_isa) -> [Float] {
    var activation = activation
    let out = Memory(byteCount: up.count * 4), u = Memory(up)
    let g = gate.map { Memory($0) }
    unsafe moe_activate(
      isa.kernels, &activation, g?.floats.baseAddress, u.floats.baseAddress!, out.floats.baseAddress!, Int64(up.count))
    return unsafe Array(out.floats[..<up.count])
  }

  /// 0, small, middle and large numbers of both signs.
  static let points: [Float] = {
    var points: [Float] = (-2000...2000).map { Float($0) / 100 }
    var size: Float = 1e-30
    while size < 3e37 {
      points += [size, -size]
      size *= 7
    }
    return points
  }()

  @Test(arguments: moe_activation_function.all)
  func `A function of one number is as exact as fp32 allows`(function: moe_activation_function) {
    let activation = moe_activation_make(function)
    let expected = Self.points.map { activation.reference(Double($0), nil) }
    for isa in moe_isa.supported {
      let out = Self.activate(activation, gate: nil, up: Self.points, isa: isa)
      let wrong = Self.points.indices.filter { i in
        // The tails of gelu go to 0 as e^-x², whose relative error grows with x².
        !(abs(Double(out[i]) - expected[i]) <= abs(expected[i]) * 1e-6 + 1e-8)
          && !(expected[i] > 3.4e38 && out[i] == .infinity)
      }
      #expect(
        wrong.isEmpty,
        "\(isa.name): \(wrong.prefix(5).map { "f(\(Self.points[$0])) = \(out[$0]), not \(expected[$0])" })")
    }
  }

  @Test func `Limits, slope and offset`() {
    var random = Random(state: 3)
    let gate = random.floats(100, 10), up = random.floats(100, 10)
    for function in moe_activation_function.all {
      for (limit, after) in [(Float.nan, Float.nan), (.infinity, 1.5), (2, .infinity), (2, 1.5)] {
        let activation = moe_activation(
          function: function, alpha: 1.702, beta: 1, limit: limit, limit_after: after, situ_beta: 3, situ_linear_beta: 4
        )
        let expected = zip(gate, up).map { activation.reference(Double($0), Double($1)) }
        for isa in moe_isa.supported {
          let out = Self.activate(activation, gate: gate, up: up, isa: isa)
          #expect(zip(out, expected).allSatisfy { abs(Double($0) - $1) <= abs($1) * 2e-6 + 1e-6 }, "\(isa.name)")
        }
      }
    }
  }

  @Test(arguments: moe_activation_function.all)
  func `NaN is never swallowed, and no finite number becomes one`(function: moe_activation_function) {
    var activation = moe_activation_make(function)
    activation.limit = 7
    let large: [Float] = [3e38, -3e38, 1e20, -1e20, 89, -89, 104, -104, 0, -0.0]
    for isa in moe_isa.supported {
      #expect(Self.activate(activation, gate: nil, up: [.nan], isa: isa)[0].isNaN)
      #expect(Self.activate(activation, gate: [1], up: [.nan], isa: isa)[0].isNaN)
      #expect(Self.activate(moe_activation_make(function), gate: nil, up: large, isa: isa).allSatisfy { !$0.isNaN })
    }
  }
}
