// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import MoE
import MoECUDA
import Tensors
import Testing

/// What the backend keeps and what it refuses is known without a GPU.
@Suite struct LayoutTests {
  private let specification = LayerSpecification(expertCount: 4, hiddenSize: 64, intermediateSize: 48)

  private func expectRefusal(_ words: [String], _ body: () throws -> Void) {
    let error = #expect(throws: MoEError.self) { try body() }
    #expect(error?.faults.map(\.code) == [.unsupportedByBackend])
    for word in words { #expect(error?.description.contains(word) == true, "\(error as Any) names \(word)") }
  }

  @Test(arguments: RegionTests.types)
  func everyTypeIsKeptAsItIsStored(type: WeightType) throws {
    let converted = try LayerSpecification(expertCount: 4, hiddenSize: 256, intermediateSize: 512).converted(to: type)
    let layout = try CUDABackend().layout(of: converted)
    #expect(layout.codes == converted.codes)
    // No more than the format says, and the tables and the ends of rows.
    let parameters = 3 * 256 * 512
    #expect(Double(layout.bytesPerExpert) < Double(parameters) * type.bitsPerWeight / 8 * 1.1 + 16384)
    #expect(layout.bytesPerExpert % 256 == 0)
  }

  @Test func activationsAsBytesAreRefused() {
    expectRefusal(["activations", "int8", "fp8"]) { _ = try CUDABackend(activations: .int8).layout(of: specification) }
  }

  @Test func unknownDeclaredActivationsAreRefused() {
    var declared = specification
    declared.activations = ActivationSchemes(gateUp: .unknown("5-bit"), down: .unquantized)
    expectRefusal(["5-bit", "bf16"]) { _ = try CUDABackend(activations: .declared).layout(of: declared) }
    #expect(throws: Never.self) { try CUDABackend(activations: .bf16).layout(of: declared) }
  }

  @Test func typesWithoutKernelsAreRefused() {
    var other = specification
    other.elementType = .f8e4m3
    expectRefusal(["F8_E4M3", "BF16"]) { _ = try CUDABackend().layout(of: other) }
  }

  @Test(arguments: [4, 12, 0])
  func groupsThatEightColumnsDoNotShareAreRefused(group: Int) {
    var odd = specification
    odd.codes = [.up: CodedForm(bits: 4, group: group, scale: .f32)]
    expectRefusal(["multiples of 8", "up", "\(group)"]) { _ = try CUDABackend().layout(of: odd) }
    // A group that is the row may have any size.
    odd.codes = [.up: CodedForm(bits: 4, group: 100, scale: .f32)]
    #expect(throws: Never.self) { try CUDABackend().layout(of: odd) }
  }

  @Test func sizesThatWereNotPaddedAreRefused() throws {
    let odd = LayerSpecification(expertCount: 4, hiddenSize: 60, intermediateSize: 48)
    let layout = try CUDABackend().layout(of: odd)
    expectRefusal(["multiples of 8", "60"]) { _ = try CUDABackend().allocate(layout) }
  }

  @Test(.enabled(if: isDriverMissing, "there is a CUDA driver here"))
  func aMachineWithoutADriverGetsOneLine() throws {
    let backend = CUDABackend(ordinal: 3)
    let error = #expect(throws: MoEError.self) { try backend.allocate(backend.layout(of: specification)) }
    #expect(error?.faults.map(\.code) == [.device])
    let text = error?.description ?? ""
    #expect(!text.contains("\n"))
    for word in ["cuda:3", "no CUDA driver", "--backend cpu"] { #expect(text.contains(word), "\(text)") }
  }

  private static var isDriverMissing: Bool { (try? CUDADriver.shared.get()) == nil }
}
