// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import MoE
import Tensors
import Testing

/// Shapes and names of small tensors, counted by hand.
@Suite struct ProjectionLayoutTests {
  /// Two experts with matrices of two rows and three columns.
  static let sizes = ProjectionLayout.Sizes(experts: 2, rows: 2, columns: 3)

  private func place(
    _ axis: ProjectionLayout.ExpertAxis, isInputMajor: Bool = false, _ part: ProjectionLayout.Part = .whole
  ) -> ProjectionLayout {
    ProjectionLayout(
      stem: "x", weightSuffix: ".weight", biasSuffix: ".bias", expertAxis: axis, isInputMajor: isInputMajor, part: part)
  }

  @Test func shapes() {
    #expect(place(.none).shape(.weight, Self.sizes) == [2, 3])
    #expect(place(.none).shape(.bias, Self.sizes) == [2])
    #expect(place(.none, isInputMajor: true).shape(.weight, Self.sizes) == [3, 2])
    #expect(place(.leading).shape(.weight, Self.sizes) == [2, 2, 3])
    #expect(place(.leading, .half(1)).shape(.weight, Self.sizes) == [2, 4, 3])
    #expect(place(.leading, .half(1)).shape(.bias, Self.sizes) == [2, 4])
    #expect(place(.leading, isInputMajor: true, .half(1)).shape(.weight, Self.sizes) == [2, 3, 4])
    #expect(place(.merged).shape(.weight, Self.sizes) == [4, 3])
    #expect(place(.merged, isInputMajor: true).shape(.weight, Self.sizes) == [6, 2])
  }

  @Test func names() {
    let layout = StoredLayout.perExpert.layout
    #expect(layout.up.name(.weight, expert: 12) == "{b}.experts.12.up_proj.weight")
    #expect(layout.up.name(.bias, expert: 0) == "{b}.experts.0.up_proj.bias")
    #expect(StoredLayout.fusedInputMajor.layout.gate?.name(.bias, expert: 5) == "{b}.experts.gate_up_proj_bias")
    #expect(ExpertLayout.perExpert("e.", gate: nil, up: "u", down: "d")[.gate] == nil)
  }
}
