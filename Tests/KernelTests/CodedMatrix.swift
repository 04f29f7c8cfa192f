// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import CMoEKernels

/// Random codes with random numbers that a form holds exactly, and what they mean.
struct CodedMatrix {
  let form: moe_form
  let outputs: Int, inputs: Int
  var codes: [UInt8]
  var table: [Float]
  /// [outputs, groups], or [outputs, super-groups].
  var scales: [Float], corrections: [Float], factors: [Float], minimumFactors: [Float]

  init(_ form: moe_form, outputs: Int, inputs: Int, table: [Float]? = nil, random: inout Random) {
    func numbers(_ number: moe_number, _ groups: Int) -> [Float] {
      (0..<outputs * groups).map { _ in number.random(&random) }
    }
    (self.form, self.outputs, self.inputs) = (form, outputs, inputs)
    codes = (0..<outputs * inputs).map { _ in UInt8(random.below(1 << Int(form.bits))) }
    self.table = table ?? Self.tables(form)[random.below(Self.tables(form).count)]
    (scales, corrections, factors, minimumFactors) = ([], [], [], [])
    scales = numbers(form.scale, groups)
    corrections = numbers(form.correction_number, groups)
    factors = numbers(form.factor, superGroups)
    minimumFactors = numbers(form.factor, superGroups)
  }

  var groups: Int { form.group == 0 ? 1 : (inputs + Int(form.group) - 1) / Int(form.group) }
  var superGroups: Int { form.super_group == 0 ? 1 : (inputs + Int(form.super_group) - 1) / Int(form.super_group) }

  /// Tables of each kind that kernels compute, and one that they have to look up.
  static func tables(_ form: moe_form) -> [[Float]] {
    let codes = Array(0..<1 << Int(form.bits)), half = codes.count / 2
    var result = [
      codes.map { Float($0) }, codes.map { Float($0 - half) }, codes.map { Float($0 < half ? $0 : $0 - 2 * half) },
      codes.map { Float(($0 * 7 + 3) % codes.count) / 8 - 0.5 },
    ]
    if form.bits == 8 {
      for (fraction, bias) in [(3, 7), (3, 8), (2, 15), (2, 16)] {
        result.append(codes.map { smallFloat($0, fraction: fraction, bias: bias) })
      }
    }
    return result
  }

  static func smallFloat(_ code: Int, fraction: Int, bias: Int) -> Float {
    let exponent = (code & 0x7f) >> fraction, part = Float(code & (1 << fraction - 1)) / Float(1 << fraction)
    let magnitude = Float(sign: .plus, exponent: max(exponent, 1) - bias, significand: exponent == 0 ? part : 1 + part)
    return code & 0x80 == 0 ? magnitude : -magnitude
  }

  /// Row-major.
  var values: [Float] { (0..<outputs * inputs).map { value($0 / inputs, $0 % inputs) } }

  /// Each step rounds to a Float, as `moe_form` says.
  func value(_ output: Int, _ input: Int) -> Float {
    let group = output * groups + (form.group == 0 ? 0 : input / Int(form.group))
    let superGroup = form.super_group == 0 ? nil : output * superGroups + input / Int(form.super_group)
    let x = table[Int(codes[output * inputs + input])]
    let scale = superGroup.map { scales[group] * factors[$0] } ?? scales[group]
    switch form.correction {
    case .none: return x * scale
    case .zero: return (x - corrections[group]) * scale
    case .minimum:
      let product = x * scale
      return product - (superGroup.map { corrections[group] * minimumFactors[$0] } ?? corrections[group])
    @unknown default: fatalError()
    }
  }

  /// - Parameter transposed: The codes lie [inputs, outputs].
  func pack(
    _ layout: moe_expert_layout, _ projection: moe_projection, into region: Memory, transposed: Bool = false
  ) -> moe_pack_status {
    var layout = layout
    let view = transposed ? (0..<codes.count).map { codes[$0 % outputs * inputs + $0 / outputs] } : codes
    let memory = (Memory(view), Memory(table), Memory(scales), Memory(corrections), Memory(factors))
    let minimumFactors = Memory(minimumFactors)
    func source(_ memory: Memory, _ groups: Int) -> moe_group_source {
      unsafe moe_group_source(base: memory.floats.baseAddress!, row_stride: Int64(groups), group_stride: 1)
    }
    let source = unsafe moe_coded_source(
      codes: memory.0.base.assumingMemoryBound(to: UInt8.self), row_stride: transposed ? 1 : Int64(inputs),
      column_stride: transposed ? Int64(outputs) : 1, table: memory.1.floats.baseAddress!,
      scales: source(memory.2, groups), corrections: source(memory.3, groups),
      factors: source(memory.4, superGroups), minimum_factors: source(minimumFactors, superGroups))
    for part in moe_outputs.parts(of: outputs) {
      var rows = unsafe source
      unsafe rows.skip(part.first, groups: Int64(groups), superGroups: Int64(superGroups))
      let status = unsafe moe_pack_coded(&layout, projection, part, &rows, region.base)
      guard status == .ok else { return status }
    }
    return .ok
  }
}

extension moe_outputs {
  /// All outputs, the first panels on their own where there are more.
  static func parts(of count: Int) -> [moe_outputs] {
    let first = count > 64 ? 64 : count
    return [moe_outputs(first: 0, count: Int64(first)), moe_outputs(first: Int64(first), count: Int64(count - first))]
  }
}

extension moe_group_source {
  fileprivate mutating func skip(_ numbers: Int64) { unsafe base = unsafe base.map { unsafe $0 + Int(numbers) } }
}

extension moe_coded_source {
  /// Begins at another output.
  mutating func skip(_ outputs: Int64, groups: Int64, superGroups: Int64) {
    unsafe codes += Int(outputs * row_stride)
    unsafe scales.skip(outputs * groups)
    unsafe corrections.skip(outputs * groups)
    unsafe factors.skip(outputs * superGroups)
    unsafe minimum_factors.skip(outputs * superGroups)
  }
}

extension moe_number {
  static var all: [moe_number] { [.f32, .f16, .bf16, .e8m0, .e4m3fn, .u8, .i8] }

  /// A number of this type; of integers, small ones.
  func random(_ random: inout Random) -> Float {
    switch self {
    case .f32: random.float(0.1)
    case .f16: moe_element.f16.rounded(random.float(0.1))
    case .bf16: moe_element.bf16.rounded(random.float(0.1))
    case .e8m0: Float(sign: .plus, exponent: random.below(8) - 8, significand: 1)
    case .e4m3fn: CodedMatrix.smallFloat(random.below(0x7f) | random.below(2) << 7, fraction: 3, bias: 7)
    case .u8: Float(random.below(64))
    case .i8: Float(random.below(64) - 32)
    @unknown default: fatalError()
    }
  }
}

extension moe_form {
  func corrected(_ correction: moe_correction, _ number: moe_number) -> moe_form {
    var form = self
    (form.correction, form.correction_number) = (correction, number)
    return form
  }

  func grouped(_ inputs: Int64, _ factor: moe_number) -> moe_form {
    var form = self
    (form.super_group, form.factor) = (inputs, factor)
    return form
  }
}
