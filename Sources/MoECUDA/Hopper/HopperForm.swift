// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import CAccelerators

/// A form of weights that there are kernels for on Hopper, with what the host has to know of it.
struct HopperForm: Sendable, Hashable {
  /// `WEIGHTS` of `weights.cuh`, and its name there.
  let weights: Int
  let name: String
  /// Bits of a weight.
  let bits: Int
  /// How tiles of 8 rows and 128 columns keep scales; nil: weights are rows, and scales stand apart.
  let coding: TileCoding?
  /// What the products' inputs are.
  let inputs: Inputs
  /// Whether each matrix has a factor besides.
  let hasFactors: Bool
  /// Most rows of a tile of the grouped products, ascending.
  let tokens: [Int]
  /// Most rows of a pair of tiles whose blocks share copies of weights; nil: there are none.
  let pairTokens: Int?
  /// Bytes of a weight row in a stage of the stream, for short rows and for long ones; the same where weights are rows.
  let chunks: (short: Int, long: Int)
  /// Tokens that the stream always takes, and bytes of weights that it reads at most for more: beyond, the grouped products are
  /// faster. Measured.
  let stream: (tokens: Int, bytes: Int)

  /// What tokens and intermediate are multiplied as.
  enum Inputs {
    case bf16
    /// With a scale for 128 columns, as weights have one for 128 × 128.
    case e4m3InBlocks
    /// With a scale for each row.
    case e4m3InRows
  }

  static func == (a: Self, b: Self) -> Bool { a.weights == b.weights }
  func hash(into hasher: inout Hasher) { hasher.combine(weights) }

  private init(
    _ weights: Int, _ name: String, bits: Int, coding: TileCoding? = nil, inputs: Inputs = .bf16,
    hasFactors: Bool = false, tokens: [Int] = [16, 32, 64, 96, 128], pairTokens: Int? = nil,
    chunks: (Int, Int) = (512, 1024), stream: (Int, Int) = (4, 240 << 20)
  ) {
    self.weights = weights
    self.name = name
    self.bits = bits
    self.coding = coding
    self.inputs = inputs
    self.hasFactors = hasFactors
    self.tokens = tokens
    self.pairTokens = pairTokens
    self.chunks = chunks
    self.stream = stream
  }

  static let bf16 = Self(
    0, "bf16", bits: 16, tokens: [16, 32, 64, 96, 128, 160], pairTokens: 320, chunks: (2048, 2048),
    stream: (0, 1300 << 20))
  static let e4m3Block = Self(
    1, "e4m3-block", bits: 8, inputs: .e4m3InBlocks, tokens: [64, 128], chunks: (1024, 1024), stream: (1, 400 << 20))
  static let mxfp4 = Self(2, "mxfp4", bits: 4, coding: .mxfp4)
  static let nvfp4 = Self(3, "nvfp4", bits: 4, coding: .nvfp4, hasFactors: true)
  static let int4Groups128 = Self(4, "int4-g128", bits: 4, coding: .integers(bits: 4, group: 128))
  static let int4Groups32 = Self(5, "int4-g32", bits: 4, coding: .integers(bits: 4, group: 32))
  static let e4m3Groups128 = Self(
    6, "e4m3-g128", bits: 8, coding: .e4m3(group: 128), chunks: (1024, 1024), stream: (8, 0))
  static let e4m3Groups32 = Self(
    7, "e4m3-g32", bits: 8, coding: .e4m3(group: 32), chunks: (1024, 1024), stream: (8, 0))
  static let int8Groups128 = Self(
    8, "int8-g128", bits: 8, coding: .integers(bits: 8, group: 128), chunks: (1024, 1024), stream: (8, 0))
  static let int8Groups32 = Self(
    9, "int8-g32", bits: 8, coding: .integers(bits: 8, group: 32, hasMinimums: true), chunks: (1024, 1024),
    stream: (8, 0))
  static let int8Groups16 = Self(
    10, "int8-g16", bits: 8, coding: .integers(bits: 8, group: 16, hasMinimums: true), tokens: [16, 32, 64, 96],
    chunks: (1024, 1024), stream: (8, 0))
  static let int4Minimums32 = Self(
    11, "int4-g32-minimum", bits: 4, coding: .integers(bits: 4, group: 32, hasMinimums: true))
  static let mxfp4E4M3 = Self(
    12, "mxfp4-e4m3", bits: 4, coding: .mxfp4E4M3, inputs: .e4m3InRows, stream: (2, 80 << 20))
  static let e4m3Rows = Self(
    13, "e4m3-row", bits: 8, inputs: .e4m3InRows, tokens: [16, 32, 64, 96, 128, 160], chunks: (1024, 1024),
    stream: (1, 640 << 20))

  static let all = [
    bf16, e4m3Block, mxfp4, nvfp4, int4Groups128, int4Groups32, int4Minimums32, e4m3Groups128, e4m3Groups32,
    int8Groups128, int8Groups32, int8Groups16, mxfp4E4M3, e4m3Rows,
  ]

  /// Columns from which a stage has more bytes of a row, for few tokens, whose rows lie in it too.
  private static let longRow = 2560
  private var fewTokens: Int { inputs == .bf16 ? 4 : 1 }

  func chunk(columns: Int, tokens: Int) -> Int {
    columns < Self.longRow || tokens > fewTokens ? chunks.short : chunks.long
  }

  /// Warps of the stream: teams of four that multiply stages in turns, two that copy, four that quantise tokens, one that finishes
  /// rows.
  var streamTeams: Int { tileBytes > 0 ? 4 : 2 }
  var streamThreads: Int { 32 * (4 * streamTeams + 2 + (inputs == .bf16 ? 0 : 4) + 1) }

  /// Bytes between the tokens' rows of a stage of the stream.
  var streamGap: Int { coding == nil || inputs != .bf16 ? 64 : 16 }
  /// Bytes of a stage's scales.
  func streamScaleBytes(blocks: Int) -> Int {
    let tokens = 4 * MOE_HOPPER_STREAM_TOKENS
    return switch inputs {
    case .bf16: 0
    case .e4m3InBlocks: blocks * (2 * 4 + tokens)
    // Scales of 16 rows, where they are no part of tiles; then scales and greatest magnitudes of the tokens.
    case .e4m3InRows: (coding == nil ? 16 * 4 : 0) + 2 * tokens
    }
  }

  /// Bytes of a value of the products' inputs.
  var inputBytes: Int { inputs == .bf16 ? 2 : 1 }
  /// Columns of a row of them: those that are put into another order come by 128.
  func inputColumns(_ columns: Int) -> Int { inputs == .e4m3InRows ? columns.aligned(to: Self.block) : columns }
  /// Scales of a row of them.
  func inputScales(columns: Int) -> Int {
    switch inputs {
    case .bf16: 0
    case .e4m3InBlocks: Self.blocks(columns)
    case .e4m3InRows: 1
    }
  }
  /// H and I are multiples of this.
  static let alignment = 16
  /// Columns that share scales, and columns of a tile.
  static let block = 128
  /// Rows of a tile.
  static let tileRows = 8

  /// Bytes of a tile's scales for each of its rows.
  var tileScaleBytes: Int { coding.map { Self.block / $0.group * $0.bytes } ?? 0 }
  /// Bytes of a tile; 0 where there are none.
  var tileBytes: Int { coding == nil ? 0 : Self.tileRows * (Self.block * bits / 8 + tileScaleBytes) }

  /// Bytes of so many rows of weights.
  func weightBytes(rows: Int, columns: Int) -> Int {
    tileBytes == 0
      ? rows * columns * bits / 8 : rows / Self.tileRows * Self.blocks(columns) * tileBytes
  }

  /// Numbers of 32 bits that stand apart: scales of so many rows, or a factor.
  func scaleCount(rows: Int, columns: Int) -> Int {
    switch inputs {
    case .e4m3InBlocks: Self.blocks(rows) * Self.scalePitch(columns)
    case .e4m3InRows where coding == nil: rows
    default: hasFactors ? 1 : 0
    }
  }

  static func blocks(_ count: Int) -> Int { (count + block - 1) / block }
  /// A row of scales is padded to 16 bytes.
  static func scalePitch(_ columns: Int) -> Int { blocks(columns).aligned(to: 4) }

  /// Slices of rows begin at multiples of this: what shares scales or lies in a tile comes whole.
  var rowAlignment: Int { inputs == .e4m3InBlocks ? Self.block : tileBytes > 0 ? Self.tileRows : 1 }
}
