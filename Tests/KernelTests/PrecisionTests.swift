// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import CMoEKernels
import Testing

/// Activations in bf16 and as bytes.
@Suite struct PrecisionTests {
  /// Weights as formats have them: values around 0, scales that differ by a factor of 3.
  struct Format: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var form: moe_form
    var table: [Float]

    init(_ name: String, _ form: moe_form, _ table: [Float] = [], integral: Bool = true, halves: Bool = false) {
      (testDescription, self.form, self.table) = (name, form, table)
      self.form.integral = integral && form.bits > 0
      self.form.halves = halves
    }

    func layer(hidden: Int, intermediate: Int) -> Layer {
      let shape = CodedTests.shape(form, hidden: hidden, intermediate: intermediate)
      var random = Random(state: 11)
      let experts = (0..<3).map { _ in
        var expert = ReferenceExpert(shape, random: &random)
        guard form.bits > 0 else { return expert }
        for projection in shape.projections {
          var matrix = expert.coded[projection]!
          matrix.center(table, random: &random)
          (expert.coded[projection], expert.weights[projection]) = (matrix, matrix.values)
        }
        return expert
      }
      return Layer(shape, experts: experts)
    }
  }

  static let e2m1: [Float] = [0, 0.5, 1, 1.5, 2, 3, 4, 6, -0, -0.5, -1, -1.5, -2, -3, -4, -6]
  static let signedBytes = (0..<256).map { Float($0 < 128 ? $0 : $0 - 256) }
  static func unsigned(_ bits: Int) -> [Float] { (0..<1 << bits).map { Float($0) } }
  static func centered(_ bits: Int) -> [Float] { (0..<1 << bits).map { Float($0 - 1 << (bits - 1)) } }
  static let e4m3 = (0..<256).map { $0 & 0x7f == 0x7f ? 0 : CodedMatrix.smallFloat($0, fraction: 3, bias: 7) }

  static let formats = [
    Format("bf16", moe_form_dense(.bf16)), Format("f16", moe_form_dense(.f16)), Format("f32", moe_form_dense(.f32)),
    Format("fp8, blocks of 128", moe_form_coded(8, 128, .f32), e4m3, integral: false, halves: true),
    Format("fp8, channel", moe_form_coded(8, 0, .f32), e4m3, integral: false, halves: true),
    Format("int8, channel", moe_form_coded(8, 0, .f32), signedBytes),
    Format("int8, groups of 128", moe_form_coded(8, 128, .f16), signedBytes),
    Format("int4, groups of 128", moe_form_coded(4, 128, .f16), centered(4)),
    Format("int4, groups of 32, zeros", moe_form_coded(4, 32, .f16).corrected(.zero, .u8), unsigned(4)),
    Format("mxfp4", moe_form_coded(4, 32, .e8m0), e2m1),
    Format("nvfp4", moe_form_coded(4, 16, .e4m3fn).grouped(1 << 20, .f32), e2m1),
    Format("nf4", moe_form_coded(4, 64, .f32), (0..<16).map { Float($0 * $0 - 40) / 117 }, integral: false),
    Format("q8_0", moe_form_coded(8, 32, .f16), signedBytes),
    Format("q2_k", moe_form_coded(2, 16, .u8).corrected(.minimum, .u8).grouped(256, .f16), unsigned(2)),
    Format("q3_k", moe_form_coded(3, 16, .i8).grouped(256, .f16), centered(3)),
    Format("q4_k", moe_form_coded(4, 32, .u8).corrected(.minimum, .u8).grouped(256, .f16), unsigned(4)),
    Format("q5_k", moe_form_coded(5, 32, .u8).corrected(.minimum, .u8).grouped(256, .f16), unsigned(5)),
    Format("q6_k", moe_form_coded(6, 16, .i8).grouped(256, .f16), centered(6)),
  ]

  /// Relative root mean square.
  static func error(_ out: [Float], _ reference: [Double]) -> Double {
    let difference = zip(out, reference).reduce(0) { $0 + (Double($1.0) - $1.1) * (Double($1.0) - $1.1) }
    let error = (difference / reference.reduce(0) { $0 + $1 * $1 }).squareRoot()
    return error.isFinite ? error : .infinity
  }

  /// What a precision may cost, f32 where floats may be `split` into two halves.
  static func bound(_ activations: moe_activations, _ form: moe_form, split: Bool) -> Double {
    switch activations {
    case .f32: split ? 1e-5 : 2e-6
    case .bf16: 5e-3
    default: 0.016
    }
  }

  /// Kernels of an instruction set or of an emulated unit, the numbers of threads that must give their bits, and whether they
  /// split floats for dense weights.
  @safe struct Candidate {
    var name: String
    var kernels: OpaquePointer
    var threads: [Int]
    var splitsDense = false
  }

  /// Errors stay below the bound, and bits depend neither on threads nor on the other tokens.
  static func check(
    _ format: Format, hidden: Int, tokens: Int, _ activations: moe_activations, on candidates: [Candidate]
  ) {
    let layer = format.layer(hidden: hidden, intermediate: 70)
    let batch = Layer.Batch(layer: layer, tokens: tokens, topK: 2, skip: true)
    let reference = layer.reference(batch)
    var alone = batch
    alone.tokens = 1
    for candidate in candidates {
      func run(_ batch: Layer.Batch, threads: Int) -> (status: moe_status, out: [Float]) {
        unsafe layer.forward(
          batch, kernels: candidate.kernels, pool: Pool(threads: threads), activations: activations)
      }
      let (status, out) = run(batch, threads: 1)
      #expect(status == .ok)
      let split = format.form.bits == 0 ? candidate.splitsDense : format.form.halves
      #expect(error(out, reference) < bound(activations, format.form, split: split), "\(candidate.name)")
      for threads in candidate.threads {
        #expect(run(batch, threads: threads).out == out, "\(candidate.name), \(threads) threads")
      }
      #expect(run(alone, threads: 2).out == Array(out[..<hidden]), "\(candidate.name), alone")
    }
  }

  @Test(arguments: formats, [moe_activations.f32, .bf16, .int8])
  func `Errors stay below what the precision costs, and bits depend on nothing else`(
    format: Format, activations: moe_activations
  ) {
    Self.check(
      format, hidden: 552, tokens: 14, activations,
      on: moe_isa.supported.map {
        unsafe Candidate(name: $0.name, kernels: $0.kernels, threads: $0 == moe_isa_best() ? [2, 3, 7] : [3])
      })
  }

  @Test func `Bytes are added as integers: every instruction set gives what the portable one gives`() {
    for format in Self.formats where format.form.integral {
      let layer = format.layer(hidden: 96, intermediate: 32)
      layer.activation = moe_activation_make(.relu2)
      let batch = Layer.Batch(layer: layer, tokens: 3, topK: 1)
      let portable = layer.forward(batch, isa: .portable, pool: Pool(threads: 1), activations: .int8).out
      for isa in moe_isa.supported {
        let out = layer.forward(batch, isa: isa, pool: Pool(threads: 1), activations: .int8).out
        #expect(ForwardTests.error(out, portable.map { Double($0) }) < 1e-6, "\(isa.name) \(format.testDescription)")
      }
    }
  }

  @Test func `Activations that are no numbers stay none, and zeros cost nothing`() {
    for format in Self.formats {
      let layer = format.layer(hidden: 96, intermediate: 32)
      for (value, isFinite) in [(Float.nan, false), (.infinity, false), (0, true), (1e-38, true)] {
        var batch = Layer.Batch(layer: layer, tokens: 2, topK: 1)
        batch.x = batch.x.indices.map { $0 < 96 ? value : batch.x[$0] }
        for isa in moe_isa.supported {
          for activations in [moe_activations.f32, .bf16, .int8] {
            let out = layer.forward(batch, isa: isa, pool: Pool(threads: 1), activations: activations).out
            let name = "\(isa.name) \(format.testDescription) \(activations) \(value)"
            let (first, second) = (out[..<96].map(\.isFinite), out[96...].map(\.isFinite))
            #expect(first == [Bool](repeating: isFinite, count: 96), "\(name)")
            #expect(second == [Bool](repeating: true, count: 96), "\(name)")
          }
        }
      }
    }
  }

  @Test func `A table that is not what its form says is refused`() {
    for (bits, table): (Int32, [Float]) in [
      (4, (0..<16).map { Float($0) / 3 }), (4, (0..<16).map { Float($0 * $0) }), (5, (0..<32).map { Float($0 / 2) }),
      (8, Self.e4m3),
    ] {
      for (integral, halves) in [(false, false), (true, false), (false, true)] {
        var form = moe_form_coded(bits, 16, .f32)
        (form.integral, form.halves) = (integral, halves)
        let status = CodedRefusalTests.status(form) { $0.table = table }
        let isWrong = integral || halves && table.contains { $0.bitPattern & 0xffff != 0 }
        #expect(status == (isWrong ? .badTable : .ok))
      }
    }
  }
}

extension CodedMatrix {
  /// Takes a table, and numbers that put weights around 0.
  fileprivate mutating func center(_ table: [Float], random: inout Random) {
    self.table = table
    // Small floats of ordinary size, and a few of the smallest.
    if bitsAreSmallFloats {
      codes = codes.map { code in
        let isSmall = random.below(50) == 0
        return code & 0x80 | UInt8(isSmall ? random.below(8) : 0x20 + random.below(0x38))
      }
    }
    let middle = Float((1 << Int(form.bits)) - 1) / 2
    for index in scales.indices {
      switch form.scale {
      case .u8: scales[index] = Float(8 + random.below(8))
      case .i8: scales[index] = Float(8 + random.below(8)) * (random.below(2) == 0 ? 1 : -1)
      case .e4m3fn: scales[index] = Self.smallFloat(0x28 + random.below(8), fraction: 3, bias: 7)
      case .e8m0: scales[index] = Float(sign: .plus, exponent: random.below(2) - 6, significand: 1)
      default: scales[index] = 0.01 + Float(random.below(64)) / 4096
      }
      if form.scale == .f16 { scales[index] = moe_element.f16.rounded(scales[index]) }
      switch form.correction {
      case .none: break
      case .zero: corrections[index] = Float(Int(middle) + random.below(2))
      default: corrections[index] = (scales[index] * middle).rounded()
      }
    }
    for index in factors.indices {
      factors[index] = 0.0078125
      minimumFactors[index] = 0.0078125
    }
  }

  private var bitsAreSmallFloats: Bool { table.count == 256 && table[1] < 1 && table[1] > 0 }
}
