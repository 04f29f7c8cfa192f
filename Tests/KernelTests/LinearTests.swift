// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import CMoEKernels
import Testing

@Suite struct LinearTests {
  /// A layer of random weights and the input of some tokens.
  struct Case {
    var element: moe_element, inputs: Int, outputs: Int, biased: Bool
    var weight: [Float], bias: [Float], x: [Float]

    init(_ element: moe_element, inputs: Int, outputs: Int, tokens: Int, biased: Bool) {
      var random = Random(state: 9)
      (self.element, self.inputs, self.outputs, self.biased) = (element, inputs, outputs, biased)
      weight = random.floats(inputs * outputs).map { element.rounded($0) }
      bias = random.floats(outputs)
      x = random.floats(tokens * inputs)
    }

    var reference: [Double] {
      stride(from: 0, to: x.count, by: inputs).flatMap { first in
        zip(product(weight, x[first..<first + inputs].map { Double($0) }, rows: outputs), bias).map {
          $0 + (biased ? Double($1) : 0)
        }
      }
    }

    func run(isa: moe_isa, threads: Int = 2) -> [Float] {
      let tokens = x.count / inputs
      var layout = moe_linear_layout_make(Int64(inputs), Int64(outputs), element, biased)
      let region = Memory(byteCount: Int(layout.bytes)), source = Memory(element.encoded(weight)),
        biasSource = Memory(bias), input = Memory(x)
      var biasView = unsafe moe_source(base: biasSource.base, element: .f32, row_stride: 1, column_stride: 1)
      unsafe moe_pack_linear(
        &layout, moe_source(base: source.base, element: element, row_stride: Int64(inputs), column_stride: 1),
        &biasView, region.base)
      let pool = Pool(threads: threads)
      let out = Memory(byteCount: tokens * outputs * 4)
      let workspace = unsafe Memory(byteCount: Int(moe_linear_workspace(&layout, Int64(tokens), pool.handle)))
      var arguments = unsafe moe_linear_arguments(
        kernels: isa.kernels, layout: layout, region: region.base, tokens: Int64(tokens), x: input.floats.baseAddress!,
        x_stride: Int64(inputs), out: out.floats.baseAddress!, out_stride: Int64(outputs), workspace: workspace.base,
        workspace_bytes: Int64(workspace.bytes.count))
      #expect(unsafe moe_linear(pool.handle, &arguments) == .ok)
      return unsafe Array(out.floats[..<(tokens * outputs)])
    }
  }

  @Test(arguments: moe_element.all, [(1, 1), (64, 32), (45, 70), (530, 3)])
  func `Matches double precision`(element: moe_element, size: (inputs: Int, outputs: Int)) {
    for tokens in [1, 6, 40] {
      let layer = Case(element, inputs: size.inputs, outputs: size.outputs, tokens: tokens, biased: tokens != 6)
      let reference = layer.reference
      for isa in moe_isa.supported {
        #expect(ForwardTests.error(layer.run(isa: isa), reference) < 1e-5, "\(isa.name)")
      }
    }
  }

  @Test func `Neither threads nor other tokens change a bit`() {
    let layer = Case(.bf16, inputs: 530, outputs: 40, tokens: 130, biased: true)
    var first = layer
    first.x = Array(layer.x[..<530])
    for isa in moe_isa.supported {
      let all = layer.run(isa: isa, threads: 1)
      #expect(layer.run(isa: isa, threads: 3) == all)
      #expect(first.run(isa: isa) == Array(all[..<40]))
    }
  }
}
