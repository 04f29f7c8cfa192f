// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import CMoEKernels
import EmulatedTiles
import Testing

/// Products by a unit that multiplies matrices: AMX where this CPU has it, and its instructions in C everywhere.
@Suite struct MatrixTests {
  /// A table of kernels that has such a unit.
  enum Unit: String, CaseIterable, CustomTestStringConvertible {
    case emulated, amx

    var testDescription: String { rawValue }
    var kernels: OpaquePointer { unsafe self == .emulated ? moe_emulated_amx() : moe_isa.amx.kernels }

    static var usable: [Unit] { moe_isa_supported(.amx) ? allCases : [.emulated] }
  }

  /// All tokens go to one expert: as many rows as tokens.
  private static func batch(_ layer: Layer, rows: Int) -> Layer.Batch {
    var batch = Layer.Batch(layer: layer, tokens: rows, topK: 1)
    batch.ids = batch.ids.map { _ in 1 }
    batch.weights = batch.weights.map { _ in 0.75 }
    return batch
  }

  @Test(arguments: PrecisionTests.formats, [moe_activations.f32, .bf16, .int8])
  func `Errors stay below what the precision costs, and bits depend on nothing else`(
    format: PrecisionTests.Format, activations: moe_activations
  ) {
    PrecisionTests.check(
      format, hidden: 232, tokens: 19, activations,
      on: Unit.usable.map { unsafe .init(name: "\($0)", kernels: $0.kernels, threads: [3], splitsDense: true) })
  }

  @Test(arguments: [1, 2, 15, 16, 17, 31, 32, 33, 34, 65, 97, 120, 121])
  func `However many rows there are, each is what it is alone`(rows: Int) {
    let formats = ["bf16", "fp8, blocks of 128", "int8, channel", "int4, groups of 128"]
    for format in PrecisionTests.formats where formats.contains(format.testDescription) {
      for activations in [moe_activations.f32, .bf16, .int8] {
        let layer = format.layer(hidden: 72, intermediate: 40)
        let batch = Self.batch(layer, rows: rows)
        for unit in Unit.usable {
          let out = unsafe layer.forward(batch, kernels: unit.kernels, pool: Pool(threads: 2), activations: activations)
            .out
          let bound = PrecisionTests.bound(activations, format.form, split: format.form.bits == 0)
          #expect(PrecisionTests.error(out, layer.reference(batch)) < bound)
          for row in [0, rows / 2, rows - 1] {
            var alone = batch
            (alone.tokens, alone.x) = (1, Array(batch.x[row * 72..<(row + 1) * 72]))
            let one = unsafe layer.forward(
              alone, kernels: unit.kernels, pool: Pool(threads: 1), activations: activations
            )
            .out
            #expect(one == Array(out[row * 72..<(row + 1) * 72]), "\(format.testDescription), row \(row)")
          }
        }
      }
    }
  }

  @Test func `Bytes are added as integers: the emulated unit gives the bits of the portable kernels`() {
    for format in PrecisionTests.formats where format.form.integral {
      let layer = format.layer(hidden: 552, intermediate: 70)
      let batch = Self.batch(layer, rows: 37)
      let portable = unsafe layer.forward(
        batch, kernels: moe_portable_for_amx(), pool: Pool(threads: 1), activations: .int8
      ).out
      let out = unsafe layer.forward(batch, kernels: moe_emulated_amx(), pool: Pool(threads: 1), activations: .int8).out
      #expect(out == portable, "\(format.testDescription)")
    }
  }
}
