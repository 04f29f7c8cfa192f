// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import MoE
internal import Tensors

/// Codes with their scales in tiles of 8 rows and 128 columns, as `codes.cuh` describes them.
struct CodedTiles {
  private let weights: CodedWeights
  private let form: HopperForm
  private let blocks: Int
  /// [rows, blocks, bytes of a row's scales]
  private var scales: [UInt8] = []
  /// [rows, groups]: where codes count as 0; empty where none do.
  private var isZero: [Bool] = []

  /// - Throws: `invalidValue` for codes and scales that the kernels can't take.
  init(_ weights: CodedWeights, _ form: HopperForm, _ projection: Projection) throws(MoEError) {
    self.weights = weights
    self.form = form
    blocks = HopperForm.blocks(weights.columns)
    guard let coding = form.coding, coding.accepts(weights) else {
      throw MoEError(
        .invalidValue, "the codes of a \(projection) are not those of \(form.name)", expected: "its table",
        found: "another")
    }
    let groups = CodedWeights.count(weights.columns, by: weights.group)
    // Groups of a tile that have numbers of their own.
    let width = HopperForm.block / coding.group
    scales = [UInt8](repeating: 0, count: weights.rows * blocks * form.tileScaleBytes)
    for row in 0..<weights.rows {
      for part in 0..<blocks * width where part * coding.group < weights.columns {
        let group = row * groups + part * coding.group / weights.group
        guard let number = coding.number(weights, group) else {
          throw MoEError(
            .invalidValue, "a scale or zero point of a \(projection) is beyond what the kernels of \(form.name) take",
            found: "\(weights.scales[group])")
        }
        let start = row * blocks * form.tileScaleBytes + part * coding.bytes
        for byte in 0..<coding.bytes { scales[start + byte] = UInt8(truncatingIfNeeded: number.bits >> (8 * byte)) }
        guard number.isZero else { continue }
        if isZero.isEmpty { isZero = [Bool](repeating: false, count: weights.rows * groups) }
        isZero[group] = true
      }
    }
  }

  /// Groups of 8 rows, one after the other.
  func slice(at start: Int, firstRow: Int) -> RegionSlice {
    let (height, bytes) = (HopperForm.tileRows, form.tileBytes)
    let groupBytes = blocks * bytes
    return unsafe RegionSlice(
      offset: start + firstRow / height * groupBytes, rowCount: weights.rows / height, rowBytes: groupBytes
    ) { (groups, target) throws(MoEError) in
      for (index, group) in groups.enumerated() {
        for block in 0..<blocks {
          let tile = unsafe target.baseAddress! + index * groupBytes + block * bytes
          for row in 0..<height { unsafe pack(row, of: group * height + row, block, tile) }
        }
      }
    }
  }

  /// 128 columns of a row of a tile.
  private func pack(_ row: Int, of matrixRow: Int, _ block: Int, _ tile: UnsafeMutableRawPointer) {
    let scaleBytes = form.tileScaleBytes
    let first = (matrixRow * blocks + block) * scaleBytes
    let codeBytes = form.tileBytes - HopperForm.tileRows * scaleBytes
    for byte in 0..<scaleBytes {
      unsafe tile.storeBytes(
        of: scales[first + byte], toByteOffset: codeBytes + row * scaleBytes + byte, as: UInt8.self)
    }
    guard let coding = form.coding else { return }
    let wordsOf32 = form.bits / 4
    for t in 0..<4 {
      for number in 0..<4 * wordsOf32 {
        let start = block * HopperForm.block + 32 / wordsOf32 * number + 2 * t
        var word: UInt32 = 0
        for piece in coding.pieces {
          let column = start + 8 * piece.pair
          let pair = coding.halves[Int(code(matrixRow, column))] | coding.halves[Int(code(matrixRow, column + 1))] << 16
          let masked = pair & (piece.mask | piece.mask << 16)
          word |= masked >> piece.rotation | masked << (32 - piece.rotation)
        }
        // Four words are a lane's share of a part.
        let place = number / 4 * Self.partBytes + row * 64 + 16 * t + 4 * (number % 4)
        unsafe tile.storeBytes(of: word.littleEndian, toByteOffset: place, as: UInt32.self)
      }
    }
  }

  /// Bytes of a part of a tile's codes.
  private static let partBytes = 512

  /// 0 beyond the matrix.
  private func code(_ row: Int, _ column: Int) -> UInt8 {
    guard column < weights.columns else { return 0 }
    if !isZero.isEmpty {
      let groups = CodedWeights.count(weights.columns, by: weights.group)
      if isZero[row * groups + column / weights.group] { return 0 }
    }
    return weights.codes[row * weights.columns + column]
  }
}

/// How codes stand in the words of a tile, and what stands there for the scale and the zero point of a group.
struct TileCoding: Sendable {
  /// Bits of both halves of a word's pair, rotated to the right.
  struct Piece {
    var pair: Int
    /// Of a half.
    var mask: UInt32
    var rotation: Int
  }

  struct Number {
    var bits: UInt32
    /// Whether nothing remains of the group's weights.
    var isZero = false
  }

  /// By code: the 16 bits that it is while it is half of a pair.
  let halves: [UInt32]
  /// A word is the union of these.
  let pieces: [Piece]
  /// Columns that have a number of their own; it divides the groups of the weights.
  let group: Int
  let bytes: Int
  /// Whether codes are what the kernels take them for.
  let accepts: @Sendable (CodedWeights) -> Bool
  /// nil for what the kernels can't take.
  let number: @Sendable (CodedWeights, _ group: Int) -> Number?
}

extension TileCoding {
  /// With a float's sign on top, and its own exponent and mantissa where those of bf16 meet.
  private static func floats(bits: Int, mantissa: Int) -> [UInt32] {
    (0..<UInt32(1) << bits).map { code in
      let sign = code >> (bits - 1)
      return sign << 15 | (code & (1 << (bits - 1) - 1)) << (7 - mantissa)
    }
  }

  private static let e2m1 = (
    halves: floats(bits: 4, mantissa: 1),
    pieces: [
      Piece(pair: 0, mask: 0x81c0, rotation: 0), Piece(pair: 1, mask: 0x81c0, rotation: 4),
      Piece(pair: 2, mask: 0x81c0, rotation: 10), Piece(pair: 3, mask: 0x80c0, rotation: 6),
      Piece(pair: 3, mask: 0x0100, rotation: 30),
    ]
  )

  static let mxfp4 = Self(
    halves: e2m1.halves, pieces: e2m1.pieces, group: 32, bytes: 1, accepts: { $0.table == MiniFloat.e2m1.table }
  ) { weights, group in
    let scale = E8M0.encode(weights.scales[group])
    // What lies below is less than 2⁻⁶³ of anything.
    guard scale <= 188 else { return nil }
    let exponent = UInt32(max(scale, 61)) + 66
    return Number(bits: exponent >> 1 | (exponent & 1) << 7, isZero: scale < 61)
  }

  /// The exponent from −9 on and 3 bits of mantissa, so that the small scales need no form of their own.
  static let nvfp4 = Self(
    halves: e2m1.halves, pieces: e2m1.pieces, group: 16, bytes: 1, accepts: { $0.table == MiniFloat.e2m1.table }
  ) { weights, group in
    let scale = weights.scales[group]
    guard scale != 0 else { return Number(bits: 0, isZero: true) }
    guard scale > 0, (-9...8).contains(Int(scale.exponent)) else { return nil }
    let byte = UInt32(scale.exponent + 9) << 3 | scale.bitPattern >> 20 & 7
    return Number(bits: byte >> 4 | (byte & 15) << 4)
  }

  static func int4(group: Int) -> Self {
    Self(
      halves: Array(0..<16), pieces: (0..<4).map { Piece(pair: $0, mask: 0xf, rotation: (32 - 4 * $0) % 32) },
      group: group, bytes: 4,
      accepts: { $0.table.indices.allSatisfy { [table = $0.table] in table[$0] == table[0] + Float($0) } }
    ) {
      weights, group in
      let zero = if case .zero(let zeros) = weights.correction { zeros[group] } else { Float(0) }
      // In bf16 there are all whole numbers up to 256.
      let middle = 128 + zero - weights.table[0]
      guard (0...256).contains(middle), middle == middle.rounded() else { return nil }
      let bits = UInt32(BFloat16.encode(weights.scales[group])) | UInt32(BFloat16.encode(middle)) << 16
      return Number(bits: bits)
    }
  }

  static func e4m3(group: Int) -> Self {
    Self(
      halves: floats(bits: 8, mantissa: 3),
      pieces: [
        Piece(pair: 0, mask: 0x8000, rotation: 8), Piece(pair: 0, mask: 0x07f0, rotation: 4),
        Piece(pair: 1, mask: 0x8000, rotation: 0), Piece(pair: 1, mask: 0x07f0, rotation: 28),
      ],
      group: group, bytes: 4,
      accepts: {
        $0.table.indices.allSatisfy { [table = $0.table] in
          let value = MiniFloat.e4m3fn.table[$0]
          return table[$0] == value || table[$0].isNaN && value.isNaN
        }
      }
    ) { weights, group in
      let scale = weights.scales[group]
      guard abs(scale) < 0x1p66 else { return nil }
      return Number(bits: UInt32(BFloat16.encode(scale * 0x1p60)) * 0x10001)
    }
  }
}
