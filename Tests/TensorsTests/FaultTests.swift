// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Tensors
import Testing

@Suite struct FaultTests {
  @Test func descriptionLeavesOutWhatIsAbsent() {
    let code = Fault.Code(rawValue: "test")
    #expect(Fault(code, "it is wrong").description == "it is wrong")
    let whole = Fault(
      code, "wrong size", file: "a.safetensors", subject: "w", expected: "4 bytes", found: "5", remedy: "download again"
    )
    #expect(whole.description == "a.safetensors: w: wrong size: expected 4 bytes, found 5; download again")
  }

  @Test(
    arguments: [
      (Shape([]), 1), ([2, 3], 6), ([0, 5], 0), ([Int.max, 2], nil), ([-1], nil), ([0, -1], nil),
      ([Int.max, 2, 0], nil),
    ] as [(Shape, Int?)])
  func elementCounts(shape: Shape, count: Int?) { #expect(shape.elementCount == count) }
}
