// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import CAccelerators
internal import Glibc
internal import MoE

/// The kernels for Hopper of one form of weights and one activation: see `kernels/README.md`, whose numbers these are.
struct HopperKernels: Sendable, Hashable {
  let form: HopperForm
  /// `ACTIVATION` of `activation.cuh`.
  let function: Int
  let isGated: Bool

  /// Weight rows of a tile.
  private static let tileRows = 256
  /// What a block may have of shared memory, and what of it the grouped products declare themselves.
  private static let (mostShared, declared) = (232448, 9216)

  static let round = Kernel("experts_round", "kernels/round.cu", threads: 256)
  static let sort = Kernel("experts_sort", "kernels/sort.cu", threads: 256)
  static let quantize = Kernel("experts_quantize", "kernels/quantize.cu", threads: 256)
  static let combine = Kernel("experts_combine", "kernels/combine.cu", threads: 256)

  init(_ form: HopperForm, _ activation: Activation) {
    self.init(form, function: Int(activation.device.function), isGated: activation.isGated)
  }

  private init(_ form: HopperForm, function: Int, isGated: Bool) {
    self.form = form
    self.function = function
    self.isGated = isGated
  }

  /// Every kernel that a layer launches.
  var kernels: [Kernel] {
    var kernels = [Self.round, Self.sort, Self.combine]
    if let quantize { kernels.append(quantize) }
    if isGated { kernels += Set([form.chunks.short, form.chunks.long]).sorted().map(stream(chunk:)) }
    for tokens in form.tokens + [form.pairTokens].compactMap(\.self) {
      kernels += [grouped(isDown: false, tokens: tokens), grouped(isDown: true, tokens: tokens)]
    }
    return kernels
  }

  /// What makes inputs e4m3.
  var quantize: Kernel? {
    switch form.inputs {
    case .bf16: nil
    case .e4m3InBlocks: Self.quantize
    case .e4m3InRows:
      Kernel(
        "experts_quantize_rows", "kernels/quantize_rows.cu", macros: ["WEIGHTS=\(form.weights)"], threads: 256)
    }
  }

  /// The whole layer of at most 8 tokens; of experts that have a gate.
  func stream(chunk: Int) -> Kernel {
    Kernel(
      "experts_stream", "kernels/stream.cu", macros: ["WEIGHTS=\(form.weights)", "CHUNK=\(chunk)"] + activation,
      threads: form.streamThreads, sharedBytes: Self.mostShared)
  }

  /// Stages of the stream's ring.
  func streamStages(chunk: Int, tokens: Int) -> Int {
    let columns = chunk * 8 / form.bits, blocks = columns / HopperForm.block
    let weights = form.tileBytes > 0 ? 2 * blocks * form.tileBytes : 16 * chunk
    let rows = tokens * (2 * columns + form.streamGap)
    let stage = (weights + rows + form.streamScaleBytes(blocks: blocks)).aligned(to: 128)
    let stages = min(MOE_HOPPER_STREAM_STAGES, (Self.mostShared - MOE_HOPPER_STREAM_BYTES) / stage)
    // Teams take them in turns.
    return stages - stages % form.streamTeams
  }

  /// A product of the rows of each expert, at most `tokens` of them at a time.
  func grouped(isDown: Bool, tokens: Int) -> Kernel {
    let cluster = cluster(tokens: tokens), tokens = tokens / cluster
    let step = Self.step(isDown: isDown, tokens: tokens)
    let weights = form.tileBytes > 0 ? 32 * form.tileBytes : 32768
    // Rows of 64 columns in bf16, of 128 in e4m3, and of 128 in bf16 where weights are tiles.
    let rows = tokens * 128 * (form.tileBytes > 0 ? form.inputBytes : 1)
    let isInBlocks = form.inputs == .e4m3InBlocks
    let scales = isInBlocks ? 4 * (tokens + 4) : 0
    let stage = weights + rows + scales
    let buffers = isInBlocks ? (isDown ? 16384 : 64 * tokens) : step * 256 * (isDown || !isGated ? 2 : 1)
    let stages = min(8, (Self.mostShared - Self.declared - buffers) / stage)
    let macros = [
      "WEIGHTS=\(form.weights)", "DOWN=\(isDown ? 1 : 0)", "TOKENS=\(tokens)", "STEP=\(step)", "STAGES=\(stages)",
      "CLUSTER=\(cluster)",
    ]
    return Kernel(
      "experts_grouped", "kernels/grouped.cu", macros: macros + (isDown ? [] : activation), threads: 384,
      sharedBytes: stages * stage + buffers)
  }

  /// Rows of a box and of a part of the epilogue.
  static func step(isDown: Bool, tokens: Int) -> Int { isDown || tokens <= 64 || tokens > 128 ? 16 : 32 }

  /// Blocks that take so many rows together.
  func cluster(tokens: Int) -> Int { tokens == form.pairTokens ? 2 : 1 }

  /// Most rows of a tile, or of a pair of tiles, for batches whose counts the host does not know.
  ///
  /// - Parameter columns: of the shorter product.
  func tokens(pairs: Int, experts: Int, columns: Int) -> Int {
    let mean = Double(pairs) / Self.touched(pairs: pairs, experts: experts)
    // L2 can't feed tiles of so few rows, once they are long; and two blocks wait for each other at a tile's ends.
    if let pair = form.pairTokens, columns >= 2560, (384...768).contains(mean) { return pair }
    // An expert with more rows than a tile holds reads its weights twice, so there is room for a quarter more.
    return form.tokens.first { Double($0) >= 1.25 * mean } ?? form.tokens.last!
  }

  /// Most rows of a tile of one of the products, of so many outputs.
  ///
  /// Where no multiprocessor has more than two tiles, some have one, and a product takes as long as the tallest of the others:
  /// tiles are as low as they may be without a third for any.
  ///
  /// - Parameter most: from `tokens(pairs:experts:columns:)`.
  func tokens(
    isDown: Bool, outputs: Int, most: Int, pairs: Int, experts: Int, multiprocessors: Int
  ) -> Int {
    // Tiles of 64 rows of e4m3 in blocks copy too much for their half of the time.
    guard form.inputs != .e4m3InBlocks, cluster(tokens: most) == 1 else { return most }
    let touched = Self.touched(pairs: pairs, experts: experts), mean = Double(pairs) / touched
    let tileOutputs = isDown || !isGated ? Self.tileRows : Self.tileRows / 2
    let blocks = (outputs + tileOutputs - 1) / tileOutputs
    // Of experts with as many rows as the mean, and with a standard deviation less or more.
    func rounds(_ tokens: Int) -> Double {
      let tiles = [-1, 0, 1].map { ((mean + $0 * mean.squareRoot()) / Double(tokens)).rounded(.up) }.reduce(0, +) / 3
      return (touched * Double(blocks) * tiles / Double(multiprocessors)).rounded(.up)
    }
    return rounds(most) == 2 ? form.tokens.first { rounds($0) == 2 } ?? most : most
  }

  /// Whether a batch is one launch of the stream.
  func isStreamed(tokens: Int, topK: Int, experts: Int, bytesPerExpert: Int) -> Bool {
    let pairs = tokens * topK
    guard isGated, tokens <= MOE_HOPPER_STREAM_TOKENS, pairs <= MOE_HOPPER_STREAM_PAIRS else { return false }
    return tokens <= form.stream.tokens
      || Self.touched(pairs: pairs, experts: experts) * Double(bytesPerExpert) <= Double(form.stream.bytes)
  }

  /// The experts that get a row, where all are as likely.
  private static func touched(pairs: Int, experts: Int) -> Double {
    Double(experts) * (1 - pow(1 - 1 / Double(experts), Double(pairs)))
  }

  private var activation: [String] { ["ACTIVATION=\(function)", "GATED=\(isGated ? 1 : 0)"] }
}

// MARK: - All of them

extension HopperKernels {
  /// Of every form with the activation that nearly all models have; the others are compiled where a layer needs them.
  static let all = HopperForm.all.map { Self($0, function: MOE_SILU, isGated: true) }
}
