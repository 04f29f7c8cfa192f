// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import CAccelerators
import MoE
import Tensors
import Testing

@testable import MoECUDA

/// Which layers get the kernels of Hopper, and how they are cut into launches.
@Suite struct HopperTests {
  private static func set(
    _ specification: LayerSpecification, _ precision: ActivationPrecision, _ architecture: String? = "sm_90a"
  ) throws -> HopperForm? {
    let architecture = try architecture.map(DeviceArchitecture.init(named:))
    guard case .hopper(let kernels) = KernelSet(specification, precision, on: architecture) else { return nil }
    return kernels.form
  }

  @Test(arguments: [
    (WeightType.bf16, ActivationPrecision.bf16, HopperForm.bf16 as HopperForm?), (.f16, .bf16, .bf16),
    (.f32, .bf16, .bf16), (.fp8Block, .fp8, .e4m3Block), (.mxfp4, .bf16, .mxfp4), (.nvfp4, .bf16, .nvfp4),
    (.int4Group(128, isSymmetric: true), .bf16, .int4Groups128),
    (.int4Group(256, isSymmetric: false), .bf16, .int4Groups128),
    (.int4Group(32, isSymmetric: false), .bf16, .int4Groups32),
    (.int4Group(64, isSymmetric: true), .bf16, .int4Groups32), (.ggml(.q4_0), .bf16, .int4Groups32),
    (.int4Group(16, isSymmetric: true), .bf16, .int8Groups16), (.int4Group(16, isSymmetric: false), .bf16, nil),
    (.int8Channel, .bf16, .int8Groups128), (.int8Group(128), .bf16, .int8Groups128),
    (.int8Group(32), .bf16, .int8Groups32), (.ggml(.q4_1), .bf16, .int4Minimums32),
    (.ggml(.q4_K), .bf16, .int4Minimums32), (.ggml(.q5_K), .bf16, .int8Groups32), (.ggml(.q8_0), .bf16, .int8Groups32),
    (.ggml(.mxfp4), .bf16, .mxfp4), (.ggml(.tq2_0), .bf16, .int8Groups128),
    (.ggml(.iq4_XS), .bf16, .int8Groups32), (.ggml(.q6_K), .bf16, .int8Groups16),
    (.ggml(.q2_K), .bf16, .int8Groups16), (.fp8Block, .bf16, .e4m3Groups128),
    (.fp8Channel, .bf16, .e4m3Groups128), (.fp8Tensor, .bf16, .e4m3Groups128), (.mxfp8, .bf16, .e4m3Groups32),
    (.bf16, .f32, nil), (.bf16, .fp8, nil), (.bf16, .declared, nil), (.fp8Channel, .fp8, .e4m3Rows),
    (.fp8Tensor, .fp8, .e4m3Rows),
    (.fp8Block, .declared, nil), (.mxfp4, .fp8, .mxfp4E4M3), (.mxfp4, .declared, nil), (.mxfp8, .fp8, nil),
    (.int8Group(128), .f32, nil), (.nf4, .bf16, nil),
  ])
  func formsWithKernels(type: WeightType, precision: ActivationPrecision, form: HopperForm?) throws {
    let specification = try sampleSpecification(type, hidden: 256, intermediate: 512)
    #expect(try Self.set(specification, precision) == form)
    for other in ["sm_80", "sm_89", "sm_90", nil] { #expect(try Self.set(specification, precision, other) == nil) }
  }

  @Test func layersThatDoNotFit() throws {
    #expect(try Self.set(sampleSpecification(.bf16, experts: 1025), .bf16) == nil)
    // Sizes are padded where weights are numbers, not where they are codes.
    #expect(try Self.set(sampleSpecification(.bf16, hidden: 200), .bf16) == .bf16)
    #expect(try Self.set(sampleSpecification(.fp8Block, intermediate: 392), .fp8) == nil)
    #expect(try Self.set(sampleSpecification(.fp8Block, Activation(.relu2, isGated: false)), .fp8) == nil)
    #expect(try Self.set(sampleSpecification(.bf16, Activation(.relu2, isGated: false)), .bf16) == .bf16)
    #expect(try Self.set(sampleSpecification(.mxfp4, Activation(.relu2, isGated: false)), .fp8) == .mxfp4E4M3)
    // A cut of the intermediate size inside of a block of scales.
    var cut = try sampleSpecification(.fp8Block)
    cut.codes[.up]?.rowGroup = 64
    #expect(try Self.set(cut, .fp8) == nil)
  }

  @Test(arguments: HopperForm.all)
  func launchesFitTheMultiprocessor(form: HopperForm) throws {
    let kernels = HopperKernels(form, .silu)
    for kernel in kernels.kernels {
      #expect(kernel.sharedBytes <= 232448)
      guard kernel.file == "kernels/grouped.cu" else { continue }
      let stages = kernel.macros.first { $0.hasPrefix("STAGES=") }.flatMap { Int($0.dropFirst(7)) }
      #expect((3...8).contains(try #require(stages)), "\(kernel.source)")
    }
    for columns in [1024, 8192] {
      for tokens in 1...8 {
        let chunk = form.chunk(columns: columns, tokens: tokens)
        #expect((3...32).contains(kernels.streamStages(chunk: chunk, tokens: tokens)), "\(chunk), \(tokens)")
      }
    }
    #expect(Set(kernels.kernels.map(\.source)).count == kernels.kernels.count)
  }

  /// The smallest tile that holds what an expert gets on average, with a quarter to spare.
  @Test func heightsOfTiles() {
    let kernels = HopperKernels(.bf16, .silu)
    let found = [9, 16, 64, 512, 4096].map { kernels.tokens(pairs: 8 * $0, experts: 128, columns: 768) }
    #expect(found == [16, 16, 16, 64, 160])
    #expect(kernels.tokens(pairs: 8 * 64, experts: 32, columns: 4096) == 32)
    #expect(HopperKernels(.mxfp4, .silu).tokens(pairs: 1 << 20, experts: 8, columns: 4096) == 128)
    let scaled = HopperKernels(.e4m3Block, .silu)
    let heights = [9, 512, 1024, 4096].map { scaled.tokens(pairs: 8 * $0, experts: 128, columns: 2048) }
    #expect(heights == [64, 64, 128, 128])
  }

  /// Where a multiprocessor has one or two tiles, they are as low as they may be without a third.
  @Test func heightsOfFewTiles() {
    func rows(
      _ form: HopperForm, tokens: Int, hidden: Int = 4096, inner: Int, topK: Int = 2, experts: Int = 8
    ) -> [Int] {
      let kernels = HopperKernels(form, .silu), pairs = tokens * topK
      let most = kernels.tokens(pairs: pairs, experts: experts, columns: min(hidden, inner))
      return [false, true].map {
        kernels.tokens(
          isDown: $0, outputs: $0 ? hidden : inner, most: most, pairs: pairs, experts: experts, multiprocessors: 132)
      }
    }
    #expect(rows(.mxfp4, tokens: 512, inner: 14336) == [128, 96])
    #expect(rows(.mxfp4, tokens: 512, inner: 2048) == [96, 96])
    #expect(rows(.mxfp4, tokens: 4096, inner: 14336) == [128, 128])
    #expect(rows(.mxfp4, tokens: 512, hidden: 7168, inner: 2048, topK: 8, experts: 32) == [128, 128])
    #expect(rows(.bf16, tokens: 512, inner: 14336) == [160, 160])
    #expect(rows(.e4m3Rows, tokens: 512, inner: 14336) == [160, 160])
    #expect(rows(.bf16, tokens: 640, inner: 14336) == [160, 96])
    #expect(rows(.e4m3Block, tokens: 512, inner: 14336) == [128, 128])
  }

  /// Two blocks share copies of weights where an expert has about 512 rows of at least 2560 columns.
  @Test func pairsOfTiles() {
    func rows(_ form: HopperForm, mean: Int, columns: Int = 2880) -> Int {
      HopperKernels(form, .silu).tokens(pairs: 8 * mean, experts: 8, columns: columns)
    }
    #expect([256, 383, 385, 512, 767, 1024].map { rows(.bf16, mean: $0) } == [160, 160, 320, 320, 320, 160])
    #expect(rows(.bf16, mean: 512, columns: 2048) == 160)
    #expect(rows(.mxfp4, mean: 512) == 128 && rows(.e4m3Block, mean: 512) == 128)
    let pair = HopperKernels(.bf16, .silu).grouped(isDown: true, tokens: 320)
    #expect(pair.macros.contains("TOKENS=160") && pair.macros.contains("CLUSTER=2"))
  }

  /// Few tokens are one launch as long as they read few bytes, which differs from form to form.
  @Test func batchesOfTheStream() {
    func isStreamed(
      _ form: HopperForm, _ tokens: Int, topK: Int = 8, _ activation: Activation = .silu, megabytes: Int = 4
    ) -> Bool {
      HopperKernels(form, activation).isStreamed(
        tokens: tokens, topK: topK, experts: 128, bytesPerExpert: megabytes << 20)
    }
    #expect(isStreamed(.bf16, 1) && isStreamed(.bf16, 8) && !isStreamed(.bf16, 9))
    #expect(isStreamed(.e4m3Block, 8) && !isStreamed(.e4m3Block, 8, megabytes: 12))
    #expect(isStreamed(.e4m3Block, 1, megabytes: 80) && !isStreamed(.e4m3Block, 2, megabytes: 80))
    #expect(isStreamed(.e4m3Rows, 8, megabytes: 12) && !isStreamed(.e4m3Rows, 8, megabytes: 24))
    #expect(isStreamed(.mxfp4E4M3, 4, megabytes: 2) && !isStreamed(.mxfp4E4M3, 8, megabytes: 2))
    #expect(isStreamed(.mxfp4E4M3, 2, megabytes: 80) && !isStreamed(.mxfp4E4M3, 3, megabytes: 80))
    #expect(isStreamed(.mxfp4, 8) && !isStreamed(.mxfp4, 8, megabytes: 8) && isStreamed(.mxfp4, 4, megabytes: 80))
    #expect(isStreamed(.e4m3Groups128, 8, megabytes: 80) && !isStreamed(.e4m3Groups128, 9))
    #expect(isStreamed(.bf16, 8, topK: 32) && !isStreamed(.bf16, 8, topK: 33))
    #expect(!isStreamed(.bf16, 1, Activation(.relu2, isGated: false)))
  }

  /// Long rows come in larger pieces, while few tokens leave room for them in a stage.
  @Test func piecesOfRows() {
    func pieces(_ form: HopperForm, columns: Int) -> [Int] {
      [1, 2, 4, 5].map { form.chunk(columns: columns, tokens: $0) }
    }
    #expect(pieces(.mxfp4, columns: 2880) == [1024, 1024, 1024, 512])
    #expect(pieces(.mxfp4, columns: 2048) == [512, 512, 512, 512])
    #expect(pieces(.mxfp4E4M3, columns: 2880) == [1024, 512, 512, 512])
    #expect(pieces(.bf16, columns: 2048) == [2048, 2048, 2048, 2048])
  }

  /// The layout says what the kernels want of sizes and of slices.
  @Test(arguments: [
    (WeightType.bf16, ActivationPrecision.bf16, 1), (.fp8Block, .fp8, 128), (.mxfp4, .bf16, 8), (.fp8Block, .bf16, 8),
    (.mxfp4, .fp8, 8),
  ])
  func layouts(type: WeightType, precision: ActivationPrecision, rowAlignment: Int) throws {
    let backend = CUDABackend(activations: precision)
    let specification = try sampleSpecification(type)
    let layout = try backend.layout(of: specification, on: DeviceArchitecture(named: "sm_90a"))
    #expect(layout.identity.hasPrefix("cuda/hopper/") && layout.rowAlignment == rowAlignment)
    #expect(layout.hiddenAlignment == 16 && layout.intermediateAlignment == 16)
    #expect(layout.codes == specification.codes)
    #expect(try backend.layout(of: specification, on: nil).identity.hasPrefix("cuda/rows/"))
  }
}
