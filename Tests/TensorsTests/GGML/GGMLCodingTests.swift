// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Tensors
import Testing

/// Blocks taken apart, against blocks decoded: the formula in the documentation of `GGMLCoding`, bit for bit.
@Suite struct GGMLCodingTests {
  static let types = GGMLType.allCases.filter { $0.elementType == nil }

  @Test func kinds() {
    for type in GGMLType.allCases {
      #expect((type.coding == nil) == (type.elementType != nil), "\(type)")
      #expect((GGMLBlockParts(type) == nil) == (type.coding == nil), "\(type)")
      guard let coding = type.coding else { continue }
      #expect(coding.table.count == 1 << coding.bits && (1...8).contains(coding.bits))
      #expect(type.blockElements % coding.group == 0)
    }
  }

  @Test(arguments: types)
  func values(type: GGMLType) throws {
    let coding = try #require(type.coding)
    let count = 512
    let bytes = randomBytes(seed: UInt64(type.rawValue) + 1, count: count * type.blockBytes)
    let expected = type.decode(bytes)
    var parts = try #require(GGMLBlockParts(type))
    var (compared, codes) = (0, Set<UInt8>())
    for block in 0..<count {
      type.split(bytes, block: block, into: &parts)
      for (element, code) in parts.codes.enumerated() {
        let group = element / coding.group
        var (scale, minimum) = (parts.scales[group], parts.minimums[group])
        if coding.isTwoLevel {
          #expect(scale == scale.rounded() && minimum == minimum.rounded())
          (scale, minimum) = (parts.factor * scale, parts.minimumFactor * minimum)
        } else {
          #expect(parts.factor == 1 && parts.minimumFactor == 1)
        }
        guard scale.isFinite, minimum.isFinite else { continue }
        let product = coding.table[Int(code)] * scale
        let value = coding.hasMinimums ? product - minimum : product
        let index = block * type.blockElements + element
        if value.bitPattern != expected[index].bitPattern {
          Issue.record("\(type) block \(block) element \(element): \(value), not \(expected[index])")
          return
        }
        compared += 1
        codes.insert(code)
      }
    }
    #expect(compared > expected.count / 2)
    #expect(
      codes.count >= [.tq1_0: 3, .iq1_S: 6, .iq1_M: 6, .iq2_S: 6, .iq2_XS: 6, .iq2_XXS: 6][type] ?? 1 << coding.bits)
  }
}
