// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import CMoEKernels
import Testing

@Suite struct CodedRefusalTests {
  static func status(_ form: moe_form, _ change: (inout CodedMatrix) -> Void) -> moe_pack_status {
    var random = Random(state: 5)
    let layout = moe_expert_layout_make(CodedTests.shape(form, hidden: 72, intermediate: 40))
    var matrix = CodedMatrix(form, outputs: 40, inputs: 72, random: &random)
    change(&matrix)
    return matrix.pack(layout, .up, into: Memory(byteCount: Int(layout.bytes)))
  }

  /// Numbers that a type has not.
  static let strangers: [(moe_number, [Float])] = [
    (.f32, [.nan]), (.f16, [1 + 0x1p-11, 65536, 0x1p-25, .nan]), (.bf16, [1 + 0x1p-8, .nan]),
    (.e8m0, [0, -1, 3, 0x1p-128, .infinity, .nan]), (.e4m3fn, [1 + 0x1p-4, 464, 480, 0x1p-10, .infinity, .nan]),
    (.u8, [-1, 0.5, 256, .infinity, .nan]), (.i8, [-129, 0.5, 128, .nan]),
  ]

  /// The ends of what a type has.
  static let natives: [(moe_number, [Float])] = [
    (.f32, [0x1p-149, -.greatestFiniteMagnitude]), (.f16, [0x1p-24, -65504]), (.bf16, [0x1p-133, -0x1.fep127]),
    (.e8m0, [0x1p-127, 0x1p127]), (.e4m3fn, [0x1p-9, -448, 0]), (.u8, [0, 255]), (.i8, [-128, 127]),
  ]

  @Test(arguments: strangers)
  func `A number that the type has not is refused wherever it stands`(number: moe_number, values: [Float]) {
    for value in values {
      #expect(Self.status(moe_form_coded(4, 16, number)) { $0.scales[39 * 5 + 4] = value } == .notRepresentable)
      guard number != .e8m0 else { continue }
      let corrected = moe_form_coded(4, 16, .f32).corrected(.minimum, number).grouped(32, .f32)
      #expect(Self.status(corrected) { $0.corrections[7] = value } == .notRepresentable)
      let grouped = moe_form_coded(4, 16, .f32).corrected(.minimum, .f32).grouped(32, number)
      #expect(Self.status(grouped) { $0.factors[39 * 3 + 2] = value } == .notRepresentable)
      #expect(Self.status(grouped) { $0.minimumFactors[0] = value } == .notRepresentable)
    }
  }

  @Test(arguments: natives)
  func `Every number that the type has is taken`(number: moe_number, values: [Float]) {
    for value in values {
      #expect(Self.status(moe_form_coded(4, 16, number)) { $0.scales[39 * 5 + 4] = value } == .ok)
    }
  }

  @Test func `Codes beyond the table, and tables without a number, are refused`() {
    for bits in Int32(1)...7 {
      let form = moe_form_coded(bits, 0, .f32)
      #expect(Self.status(form) { $0.codes[40 * 72 - 1] = 1 << UInt8(bits) } == .badCode)
      #expect(Self.status(form) { $0.codes[40 * 72 - 1] = 1 << UInt8(bits) - 1 } == .ok)
    }
    let form = moe_form_coded(2, 0, .f32)
    #expect(Self.status(form) { $0.table = [.nan, .infinity, -.infinity, .nan] } == .badTable)
    #expect(Self.status(form) { $0.table = [.nan, .infinity, 1, .nan] } == .badCode)
    let status = Self.status(form) {
      $0.table = [.nan, .infinity, 1, .nan]
      $0.codes = $0.codes.map { _ in 2 }
    }
    #expect(status == .ok)
  }

  @Test func `A form that is none has no bytes`() {
    let good = moe_form_coded(4, 16, .f16)
    let bad = [
      moe_form_coded(9, 16, .f16), moe_form_coded(-1, 16, .f16), moe_form_coded(4, 12, .f16),
      moe_form_coded(4, -8, .f16), moe_form_coded(4, .max - 7, .f16), good.grouped(24, .f32), good.grouped(-16, .f32),
      moe_form_coded(4, 0, .f16).grouped(16, .f32), good.grouped(32, .e8m0), good.corrected(.zero, .e8m0),
    ]
    #expect(moe_expert_layout_make(CodedTests.shape(good, hidden: 40, intermediate: 24)).bytes > 0)
    for form in bad {
      let shape = CodedTests.shape(good, hidden: 40, intermediate: 24)
      for projection in shape.projections {
        var shape = shape
        switch projection {
        case .gate: shape.gate = form
        case .up: shape.up = form
        default: shape.down = form
        }
        #expect(moe_expert_layout_make(shape).bytes == 0, "\(form)")
        shape.gated = false
        #expect((moe_expert_layout_make(shape).bytes > 0) == (projection == .gate))
      }
    }
  }

  @Test(arguments: [moe_form_coded(8, 16, .e8m0), moe_form_coded(8, 0, .f32)])
  func `Padding is no NaN, whatever the table holds`(form: moe_form) {
    var random = Random(state: 6)
    let shape = CodedTests.shape(form, hidden: 41, intermediate: 35)
    var expert = ReferenceExpert(shape, random: &random)
    for projection in shape.projections {
      var matrix = expert.coded[projection]!
      matrix.table = (0..<256).map { CodedMatrix.smallFloat($0, fraction: 3, bias: 7) }
      (matrix.table[0x7f], matrix.table[0xff], matrix.table[0]) = (.nan, .nan, .nan)
      matrix.codes = matrix.codes.map { $0 & 0x7f == 0x7f || $0 == 0 ? 0x80 : $0 }
      (expert.coded[projection], expert.weights[projection]) = (matrix, matrix.values)
    }
    let layer = Layer(shape, experts: [expert])
    ForwardTests.check(layer, .init(layer: layer, tokens: 5, topK: 1))
  }
}
