// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// A form of weights that there are kernels for on Hopper, with what the host has to know of it.
struct HopperForm: Sendable, Hashable {
  /// `WEIGHTS` of `weights.cuh`, and its name there.
  let weights: Int
  let name: String
  /// Bits of a weight.
  let bits: Int
  /// Bytes of 8 rows of 128 columns with their scales; 0: weights are rows, and scales stand apart.
  let tileBytes: Int
  /// Whether tokens and intermediate are e4m3 with a scale for 128 columns, as weights are for 128 × 128.
  let isScaledInBlocks: Bool
  /// Most rows of a tile of the grouped products, ascending.
  let tokens: [Int]
  /// Bytes of a weight row in a stage of the stream, for rows of fewer columns than the second and for the others.
  let chunks: (short: Int, long: Int)

  static func == (a: Self, b: Self) -> Bool { a.weights == b.weights }
  func hash(into hasher: inout Hasher) { hasher.combine(weights) }

  static let bf16 = Self(
    weights: 0, name: "bf16", bits: 16, tileBytes: 0, isScaledInBlocks: false, tokens: [16, 32, 64, 96, 128, 160],
    chunks: (2048, 2048))
  static let e4m3Block = Self(
    weights: 1, name: "e4m3-block", bits: 8, tileBytes: 0, isScaledInBlocks: true, tokens: [16, 32, 64, 96, 128],
    chunks: (1024, 2048))
  static let mxfp4 = Self(
    weights: 2, name: "mxfp4", bits: 4, tileBytes: 544, isScaledInBlocks: false, tokens: [16, 32, 64, 96, 128],
    chunks: (512, 512))

  static let all = [bf16, e4m3Block, mxfp4]

  /// Columns from which a stage has more bytes of a row.
  private static let longRow = 4096

  func chunk(columns: Int) -> Int { columns < Self.longRow ? chunks.short : chunks.long }

  /// Bytes of a value of the products' inputs.
  var inputBytes: Int { isScaledInBlocks ? 1 : 2 }
  /// H and I are multiples of this.
  static let alignment = 16
  /// Columns that share scales, and columns of a tile.
  static let block = 128
  /// Rows of a tile.
  static let tileRows = 8

  /// Bytes of so many rows of weights.
  func weightBytes(rows: Int, columns: Int) -> Int {
    tileBytes == 0
      ? rows * columns * bits / 8 : rows / Self.tileRows * Self.blocks(columns) * tileBytes
  }

  /// Scales of 32 bits that stand apart, of so many rows.
  func scaleCount(rows: Int, columns: Int) -> Int {
    isScaledInBlocks ? Self.blocks(rows) * Self.scalePitch(columns) : 0
  }

  static func blocks(_ count: Int) -> Int { (count + block - 1) / block }
  /// A row of scales is padded to 16 bytes.
  static func scalePitch(_ columns: Int) -> Int { blocks(columns).aligned(to: 4) }

  /// Slices of rows begin at multiples of this: what shares scales or lies in a tile comes whole.
  var rowAlignment: Int { isScaledInBlocks ? Self.block : tileBytes > 0 ? Self.tileRows : 1 }
}
