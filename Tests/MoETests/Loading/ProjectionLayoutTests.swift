// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import MoE
import Tensors
import Testing

/// Shapes and slices of small tensors, counted by hand.
@Suite struct ProjectionLayoutTests {
  /// Two experts with matrices of two rows and three columns.
  static let sizes = ProjectionLayout.Sizes(experts: 2, rows: 2, columns: 3)

  private func place(
    _ axis: ProjectionLayout.ExpertAxis, isInputMajor: Bool = false, _ part: ProjectionLayout.Part = .whole
  ) -> ProjectionLayout {
    ProjectionLayout(
      stem: "x", weightSuffix: ".weight", biasSuffix: ".bias", expertAxis: axis, isInputMajor: isInputMajor, part: part)
  }

  private func slice(
    _ offset: Int, _ rows: Int, _ columns: Int, _ rowStride: Int, _ columnStride: Int
  ) -> StridedSlice {
    StridedSlice(offset: offset, rows: rows, columns: columns, rowStride: rowStride, columnStride: columnStride)
  }

  @Test func tensorsOfTheirOwn() {
    #expect(place(.none).shape(.weight, Self.sizes) == [2, 3])
    #expect(place(.none).shape(.bias, Self.sizes) == [2])
    #expect(place(.none).slice(.weight, expert: 1, Self.sizes) == slice(0, 2, 3, 3, 1))
    #expect(place(.none).slice(.bias, expert: 1, Self.sizes) == slice(0, 2, 1, 1, 1))
    #expect(place(.none, isInputMajor: true).shape(.weight, Self.sizes) == [3, 2])
    #expect(place(.none, isInputMajor: true).slice(.weight, expert: 0, Self.sizes) == slice(0, 2, 3, 1, 2))
  }

  @Test func stacked() {
    #expect(place(.leading).shape(.weight, Self.sizes) == [2, 2, 3])
    #expect(place(.leading).slice(.weight, expert: 1, Self.sizes) == slice(6, 2, 3, 3, 1))
    #expect(place(.leading).slice(.bias, expert: 1, Self.sizes) == slice(2, 2, 1, 1, 1))
  }

  @Test func halves() {
    let up = place(.leading, .half(1))
    #expect(up.shape(.weight, Self.sizes) == [2, 4, 3])
    #expect(up.slice(.weight, expert: 1, Self.sizes) == slice(12 + 6, 2, 3, 3, 1))
    #expect(up.shape(.bias, Self.sizes) == [2, 4])
    #expect(up.slice(.bias, expert: 1, Self.sizes) == slice(4 + 2, 2, 1, 1, 1))
    let turned = place(.leading, isInputMajor: true, .half(1))
    #expect(turned.shape(.weight, Self.sizes) == [2, 3, 4])
    #expect(turned.slice(.weight, expert: 1, Self.sizes) == slice(12 + 2, 2, 3, 1, 4))
    #expect(turned.slice(.bias, expert: 1, Self.sizes) == slice(4 + 2, 2, 1, 1, 1))
  }

  @Test func interleaved() {
    let up = place(.leading, isInputMajor: true, .alternate(1))
    #expect(up.slice(.weight, expert: 0, Self.sizes) == slice(1, 2, 3, 2, 4))
    #expect(up.slice(.bias, expert: 1, Self.sizes) == slice(4 + 1, 2, 1, 2, 1))
    #expect(place(.leading, .alternate(0)).slice(.weight, expert: 1, Self.sizes) == slice(12, 2, 3, 6, 1))
    #expect(place(.leading, .alternate(1)).slice(.weight, expert: 1, Self.sizes) == slice(12 + 3, 2, 3, 6, 1))
  }

  @Test func merged() {
    #expect(place(.merged).shape(.weight, Self.sizes) == [4, 3])
    #expect(place(.merged).slice(.weight, expert: 1, Self.sizes) == slice(6, 2, 3, 3, 1))
    #expect(place(.merged, isInputMajor: true).shape(.weight, Self.sizes) == [6, 2])
    #expect(place(.merged, isInputMajor: true).slice(.weight, expert: 1, Self.sizes) == slice(6, 2, 3, 1, 2))
  }

  @Test func spans() {
    #expect(slice(18, 2, 3, 3, 1).span == 18..<24)
    #expect(slice(14, 2, 3, 1, 4).span == 14..<24)
    #expect(slice(1, 2, 3, 2, 4).span == 1..<12)
    #expect(slice(5, 0, 3, 1, 1).span == 5..<5)
    #expect(slice(5, 3, 0, 1, 1).span == 5..<5)
  }

  @Test func names() {
    let layout = StoredLayout.perExpert.layout
    #expect(layout.up.name(.weight, expert: 12) == "{b}.experts.12.up_proj.weight")
    #expect(layout.up.name(.bias, expert: 0) == "{b}.experts.0.up_proj.bias")
    #expect(StoredLayout.fusedInputMajor.layout.gate?.name(.bias, expert: 5) == "{b}.experts.gate_up_proj_bias")
    #expect(ExpertLayout.perExpert("e.", gate: nil, up: "u", down: "d")[.gate] == nil)
  }
}
