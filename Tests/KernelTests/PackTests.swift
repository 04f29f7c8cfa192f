// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import CMoEKernels
import Testing

@Suite struct PackTests {
  /// How a source lies in memory: strides for a matrix of `rows` outputs and `columns` inputs, and where element (0, 0)
  /// is.
  struct View: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var strides: @Sendable (_ rows: Int, _ columns: Int) -> (row: Int, column: Int, first: Int)
  }

  static let views = [
    View(testDescription: "[out, in]") { _, columns in (columns, 1, 0) },
    View(testDescription: "[out, in] with a gap") { _, columns in (columns + 3, 1, 0) },
    View(testDescription: "[in, out]") { rows, _ in (1, rows, 0) },
    View(testDescription: "every second output") { _, columns in (2 * columns, 1, columns) },
    View(testDescription: "[in, out], every second output") { rows, _ in (2, 2 * rows, 1) },
    View(testDescription: "outputs in reverse") { rows, columns in (-columns, 1, (rows - 1) * columns) },
    View(testDescription: "every third input") { _, columns in (3 * columns, 3, 2) },
  ]

  static let sizes = [(1, 1), (32, 64), (33, 65), (67, 130), (40, 7)]

  @Test(arguments: moe_element.all, moe_element.all)
  func `What is packed is what comes back, from any strides and any address`(element: moe_element, source: moe_element)
  {
    for (index, view) in Self.views.enumerated() {
      for (hidden, intermediate) in Self.sizes {
        roundTrip(view, element, source, hidden: hidden, intermediate: intermediate, gated: index % 2 == 0)
      }
    }
  }

  private func roundTrip(
    _ view: View, _ element: moe_element, _ source: moe_element, hidden: Int, intermediate: Int, gated: Bool
  ) {
    var layout = moe_expert_layout_make(
      moe_expert_shape(hidden: hidden, intermediate: intermediate, element: element, gated: gated, biased: true))
    let region = Memory(byteCount: Int(layout.bytes))
    let projections = layout.shape.projections
    var random = Random(state: UInt64(hidden))
    var expected: [[Float]] = []
    for projection in projections {
      let rows = layout.shape.outputs(projection), columns = layout.shape.inputs(projection)
      let (rowStride, columnStride, first) = view.strides(rows, columns)
      let size = Int(moe_element_bytes(source))
      let count = rows * columns * 3 + 3 * (rows + columns)
      let values = random.floats(count, 4)
      let bytes = Memory([0xff] + source.encoded(values))  // an odd address
      for part in moe_outputs.parts(of: rows) {
        unsafe moe_pack_projection(
          &layout, projection, part,
          moe_source(
            base: bytes.base + 1 + (first + Int(part.first) * rowStride) * size, element: source,
            row_stride: Int64(rowStride), column_stride: Int64(columnStride)),
          region.base)
      }
      expected.append(
        (0..<rows * columns).map { i in
          element.rounded(source.rounded(values[first + i / columns * rowStride + i % columns * columnStride]))
        })
    }
    for projection in [moe_projection.gate, .up, .down] {
      let all = moe_outputs(first: 0, count: Int64(layout.shape.outputs(projection)))
      unsafe moe_pack_bias(&layout, projection, all, nil, region.base)
    }

    for (projection, expected) in zip(projections, expected) {
      let rows = layout.shape.outputs(projection), columns = layout.shape.inputs(projection)
      let back = Memory(byteCount: rows * columns * 4)
      unsafe moe_unpack_projection(&layout, projection, region.base, back.floats.baseAddress!, Int64(columns), 1)
      #expect(unsafe Array(back.floats[..<(rows * columns)]) == expected, "\(projection) \(hidden) \(intermediate)")
    }
    // What was poison and is no weight is now zero: as many all-ones halves are left as the weights hold.
    let bytes = unsafe Array(region.bytes)
    var zeros = layout.bytes
    for expected in expected { zeros -= Int64(expected.count) * moe_element_bytes(element) }
    let nonzero = bytes.count { $0 != 0 }
    #expect(Int64(nonzero) <= layout.bytes - zeros, "padding is zero")
  }

  @Test func `Biases are filled with zeros`() {
    var layout = moe_expert_layout_make(
      moe_expert_shape(hidden: 40, intermediate: 33, element: .bf16, gated: true, biased: true))
    let region = Memory(byteCount: Int(layout.bytes))
    let values: [Float] = (0..<80).map { Float($0) }
    for source in moe_element.all {
      let bytes = Memory(source.encoded(values))
      for (projection, count, filled) in [(moe_projection.gate, 33, 64), (.up, 33, 64), (.down, 40, 64)] {
        var view = unsafe moe_source(base: bytes.base, element: source, row_stride: 2, column_stride: 1)
        unsafe moe_pack_bias(
          &layout, projection, moe_outputs(first: 0, count: Int64(count)), &view, region.base)
        let bias = unsafe UnsafeBufferPointer(start: moe_bias(&layout, projection, region.base), count: filled)
        #expect(unsafe Array(bias) == (0..<filled).map { $0 < count ? values[2 * $0] : 0 })
      }
    }
  }

  @Test func `Parts begin at cache lines, and a shape that is none has no bytes`() {
    for element in moe_element.all {
      for (hidden, intermediate) in [(1, 1), (31, 45), (33, 64), (70, 3)] {
        let layout = moe_expert_layout_make(
          moe_expert_shape(hidden: hidden, intermediate: intermediate, element: element, gated: true, biased: true))
        #expect(
          [layout.down.offset, layout.gate.bias_offset, layout.bytes, layout.gate.panel_bytes].allSatisfy {
            $0 > 0 && $0 % 64 == 0
          })
      }
    }
    let bad: [(Int, Int)] = [(0, 1), (1, -1), (.max, 1), (1 << 40, 1 << 40)]
    for (hidden, intermediate) in bad {
      let shape = moe_expert_shape(
        hidden: hidden, intermediate: intermediate, element: .f32, gated: true, biased: true)
      #expect(moe_expert_layout_make(shape).bytes == 0)
      #expect(moe_linear_layout_make(Int64(hidden), Int64(intermediate), .f32, true).bytes == 0)
    }
  }
}
