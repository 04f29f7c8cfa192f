// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import CMoEKernels
import Testing

@Suite struct CodedTests {
  /// A form under the name of a format that needs it.
  struct Format: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var form: moe_form
    /// Bits of a weight in a large matrix.
    var bits: Double

    init(_ name: String, _ bits: Double, _ form: moe_form) {
      (testDescription, self.bits, self.form) = (name, bits, form)
    }
  }

  static let formats = [
    Format("int4, groups of 128", 4.125, moe_form_coded(4, 128, .f16)),
    Format("int4, groups of 32, zeros", 4.75, moe_form_coded(4, 32, .f16).corrected(.zero, .u8)),
    Format("q2_k", 3.125, moe_form_coded(2, 16, .u8).corrected(.minimum, .u8).grouped(256, .f16)),
    Format("q3_k", 3.5625, moe_form_coded(3, 16, .i8).grouped(256, .f16)),
    Format("q4_k", 4.625, moe_form_coded(4, 32, .u8).corrected(.minimum, .u8).grouped(256, .f16)),
    Format("q5_k", 5.625, moe_form_coded(5, 32, .u8).corrected(.minimum, .u8).grouped(256, .f16)),
    Format("q6_k", 6.5625, moe_form_coded(6, 16, .i8).grouped(256, .f16)),
    Format("q8_0", 8.5, moe_form_coded(8, 32, .f16)),
    Format("q5_1", 6, moe_form_coded(5, 32, .f16).corrected(.minimum, .f16)),
    Format("mxfp4", 4.25, moe_form_coded(4, 32, .e8m0)),
    Format("nvfp4", 4.5, moe_form_coded(4, 16, .e4m3fn).grouped(1 << 20, .f32)),
    Format("fp8, blocks of 128", 8.25, moe_form_coded(8, 128, .f32)),
    Format("fp8, channel", 8, moe_form_coded(8, 0, .f32)),
    Format("int8, channel, zeros", 8, moe_form_coded(8, 0, .bf16).corrected(.zero, .i8)),
    Format("1 bit, groups of 8", 5, moe_form_coded(1, 8, .f16).corrected(.minimum, .e4m3fn)),
    Format("3 bits, groups of 24", 3.0 + 48.0 / 24, moe_form_coded(3, 24, .bf16).corrected(.zero, .f32)),
    Format("5 bits, groups of 40", 5.0 + 24.0 / 40, moe_form_coded(5, 40, .f16).corrected(.minimum, .u8)),
    Format("6 bits, groups of 8", 10.375, moe_form_coded(6, 8, .f16).corrected(.zero, .bf16).grouped(88, .f32)),
    Format("7 bits, groups of 96", 8.5, moe_form_coded(7, 96, .f32).corrected(.minimum, .bf16)),
  ]

  static let sizes = [(40, 32), (1, 1), (33, 65), (130, 7), (34, 553)]

  static func shape(_ form: moe_form, hidden: Int, intermediate: Int) -> moe_expert_shape {
    moe_expert_shape(
      hidden: Int64(hidden), intermediate: Int64(intermediate), gate: form, up: form, down: form, gated: true,
      has_bias: false)
  }

  @Test(arguments: formats)
  func `What is packed comes back to the bit, and every byte is written`(format: Format) {
    var random = Random(state: 3)
    for (hidden, intermediate) in Self.sizes {
      for table in CodedMatrix.tables(format.form) {
        var layout = moe_expert_layout_make(Self.shape(format.form, hidden: hidden, intermediate: intermediate))
        let region = Memory(byteCount: Int(layout.bytes)), other = Memory(byteCount: Int(layout.bytes))
        unsafe other.bytes.initializeMemory(as: UInt8.self, repeating: 0)
        for projection in layout.shape.projections {
          let outputs = layout.shape.outputs(projection), inputs = layout.shape.inputs(projection)
          let matrix = CodedMatrix(format.form, outputs: outputs, inputs: inputs, table: table, random: &random)
          #expect(matrix.pack(layout, projection, into: region) == .ok)
          #expect(matrix.pack(layout, projection, into: other, transposed: true) == .ok)
          let back = Memory(byteCount: outputs * inputs * 4)
          unsafe moe_unpack_projection(&layout, projection, region.base, back.floats.baseAddress!, Int64(inputs), 1)
          #expect(
            unsafe back.floats[..<(outputs * inputs)].elementsEqual(matrix.values) { $0.bitPattern == $1.bitPattern },
            "\(projection) \(hidden) \(intermediate)")
        }
        #expect(unsafe region.bytes.elementsEqual(other.bytes))
      }
    }
  }

  /// A token that is one 1 or -1 yields the square of a weight for each output, whatever adds it up: to the bit where a
  /// weight is one product, else to the rounding of the minimum.
  @Test(arguments: formats)
  func `Every instruction set decodes the same weights`(format: Format) {
    var random = Random(state: 4)
    let pool = Pool(threads: 2)
    for (hidden, intermediate) in [(553, 40), (1050, 3), (65, 65), (40, 32)] {
      for table in CodedMatrix.tables(format.form) {
        let shape = moe_expert_shape(
          hidden: Int64(hidden), intermediate: Int64(intermediate), gate: moe_form(), up: format.form,
          down: moe_form_dense(.f32), gated: false, has_bias: false)
        let matrix = CodedMatrix(format.form, outputs: intermediate, inputs: hidden, table: table, random: &random)
        var expert = ReferenceExpert(shape, random: &random)
        (expert.coded[.up], expert.weights[.up]) = (matrix, matrix.values)
        expert.weights[.down] = (0..<hidden * intermediate).map { $0 / intermediate == $0 % intermediate ? 1 : 0 }
        let layer = Layer(shape, experts: [expert])
        layer.activation = moe_activation_make(.relu2)

        let edges = [0, 1, 7, 8, 31, 32, 39, 511, 512, 519, hidden - 1].filter { $0 < hidden }
        let inputs = edges + [random.below(hidden)]
        let ones = inputs.map { (input: $0, x: Float(1)) } + inputs.map { (input: $0, x: Float(-1)) }
        for tokens in [ones, [ones[0]], Array(ones.suffix(3))] {
          var batch = Layer.Batch(layer: layer, tokens: tokens.count, topK: 1)
          batch.weights = tokens.map { _ in 1 }
          batch.x = tokens.flatMap { one in (0..<hidden).map { $0 == one.input ? one.x : 0 } }
          let expected = tokens.flatMap { one in
            (0..<hidden).map { n in
              let positive = n < intermediate ? max(matrix.value(n, one.input) * one.x, 0) : 0
              return positive * positive
            }
          }
          for isa in moe_isa.supported {
            let out = layer.forward(batch, isa: isa, pool: pool).out
            #expect(ForwardTests.error(out, expected.map { Double($0) }) < 1e-5, "\(isa.name) \(hidden)")
            if format.form.correction == .none { #expect(out == expected, "\(isa.name) \(hidden)") }
          }
        }
      }
    }
  }

  @Test(arguments: formats)
  func `Large matrices take the bits that they should`(format: Format) {
    let shape = Self.shape(format.form, hidden: 15360, intermediate: 7680)
    let weights = Double(3 * shape.hidden * shape.intermediate)
    let bits = Double(moe_expert_layout_make(shape).bytes) * 8 / weights
    #expect(abs(bits / format.bits - 1) < 0.01, "\(bits)")
  }

  @Test(arguments: formats)
  func `Experts match double precision, in any mixture of forms`(format: Format) {
    let other = Self.formats[(Self.formats.firstIndex { $0.testDescription == format.testDescription }! + 5) % 19].form
    let mixtures: [(moe_form, moe_form, moe_form)] = [
      (format.form, format.form, format.form), (moe_form_dense(.bf16), format.form, other),
      (format.form, moe_form_dense(.f16), moe_form_dense(.f32)), (other, format.form, moe_form_dense(.bf16)),
    ]
    for (index, (gate, up, down)) in mixtures.enumerated() {
      for (hidden, intermediate, tokens) in [(40, 32, 1), (67, 41, 9), (553, 33, 3), (34, 533, 30)] {
        let shape = moe_expert_shape(
          hidden: Int64(hidden), intermediate: Int64(intermediate), gate: gate, up: up, down: down, gated: index != 1,
          has_bias: index % 2 == 0)
        let layer = Layer(shape, experts: 3, seed: UInt64(tokens))
        ForwardTests.check(layer, .init(layer: layer, tokens: tokens, topK: 2, skip: true))
      }
    }
  }

  @Test(arguments: formats)
  func `Inputs of very different sizes side by side match double precision`(format: Format) {
    let layer = Layer(Self.shape(format.form, hidden: 320, intermediate: 96), experts: 2)
    var batch = Layer.Batch(layer: layer, tokens: 7, topK: 2)
    let sizes: [Float] = [1e-4, 1, 30, 1e-2, 1e3, 0, 0.3]
    for index in batch.x.indices { batch.x[index] *= sizes[index % sizes.count] }
    ForwardTests.check(layer, batch)
  }

  @Test(arguments: formats)
  func `Neither threads nor other tokens change a bit`(format: Format) {
    let layer = Layer(Self.shape(format.form, hidden: 553, intermediate: 40), experts: 2)
    let batch = Layer.Batch(layer: layer, tokens: 61, topK: 2)
    var alone = batch
    alone.tokens = 1
    alone.x = Array(batch.x[60 * 553..<61 * 553])
    alone.ids = Array(batch.ids[120...])
    alone.weights = Array(batch.weights[120...])
    for isa in moe_isa.supported {
      let one = layer.forward(batch, isa: isa, pool: Pool(threads: 1)).out
      #expect(layer.forward(batch, isa: isa, pool: Pool(threads: 3)).out == one)
      #expect(layer.forward(alone, isa: isa, pool: Pool(threads: 2)).out == Array(one[(60 * 553)...]))
    }
  }
}
