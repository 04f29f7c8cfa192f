// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import MoE
internal import Tensors

/// Codes with their scales in tiles of 8 rows and 128 columns, as `codes.cuh` describes them.
struct CodedTiles {
  private let weights: CodedWeights
  private let form: HopperForm
  private let blocks: Int
  /// [codes of a word, codes]: what a code leaves in a word, by its place there.
  private let spread: [UInt32]
  /// [4 lanes, words, codes of a word]: the column of a tile that each code is for.
  private let order: [Int]
  /// [rows, blocks, bytes of a row's scales]
  private var scales: [UInt8] = []
  /// [rows, groups]: how often the weights of a group are halved before they are codes; empty where none are.
  private var halvings: [Int] = []

  /// - Throws: `invalidValue` for codes and scales that the kernels can't take.
  init(_ weights: CodedWeights, _ form: HopperForm, _ projection: Projection) throws(MoEError) {
    self.weights = weights
    self.form = form
    blocks = HopperForm.blocks(weights.columns)
    guard let coding = form.coding, let codes = coding.codes(weights) else {
      throw MoEError(
        .invalidValue, "the codes of a \(projection) are not those of \(form.name)", expected: "its table",
        found: "another")
    }
    spread = coding.pieces.flatMap { pieces in
      codes.bits.map { bits in
        pieces.reduce(0) { word, piece in
          let masked = bits & piece.mask
          return word | masked >> piece.rotation | masked << (32 - piece.rotation)
        }
      }
    }
    order = coding.order
    let groups = CodedWeights.count(weights.columns, by: weights.group)
    // Groups of a tile that have numbers of their own.
    let width = HopperForm.block / coding.group
    scales = [UInt8](repeating: 0, count: weights.rows * blocks * form.tileScaleBytes)
    for row in 0..<weights.rows {
      for part in 0..<blocks * width where part * coding.group < weights.columns {
        let first = part * coding.group / weights.group
        let last = min(max(first + 1, (part + 1) * coding.group / weights.group), groups)
        let shared = row * groups + first..<row * groups + last
        guard let number = codes.number(shared) else {
          throw MoEError(
            .invalidValue, "a scale or zero point of a \(projection) is beyond what the kernels of \(form.name) take",
            found: "\(Array(weights.scales[shared]))")
        }
        let start = row * blocks * form.tileScaleBytes + part * coding.bytes
        for byte in 0..<coding.bytes { scales[start + byte] = UInt8(truncatingIfNeeded: number.bits >> (8 * byte)) }
        guard number.halvings.contains(where: { $0 > 0 }) else { continue }
        if halvings.isEmpty { halvings = [Int](repeating: 0, count: weights.rows * groups) }
        halvings.replaceSubrange(shared, with: number.halvings)
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
    let line = codes(of: matrixRow, block), wordCodes = 32 / form.bits, codeCount = 1 << weights.bits
    for word in 0..<4 * form.bits {
      var bits: UInt32 = 0
      for place in 0..<wordCodes {
        bits |= spread[place * codeCount + Int(line[order[word * wordCodes + place]])]
      }
      // Four words are a lane's share of a part.
      let (lane, number) = (word / form.bits, word % form.bits)
      let place = number / 4 * Self.partBytes + row * 64 + 16 * lane + 4 * (number % 4)
      unsafe tile.storeBytes(of: bits.littleEndian, toByteOffset: place, as: UInt32.self)
    }
  }

  /// Bytes of a part of a tile's codes.
  private static let partBytes = 512

  /// The codes of a row in a block, 0 beyond the matrix.
  private func codes(of row: Int, _ block: Int) -> [128 of UInt8] {
    var line: [128 of UInt8] = .init(repeating: 0)
    let first = block * HopperForm.block, start = row * weights.columns + first
    let groups = CodedWeights.count(weights.columns, by: weights.group)
    for column in 0..<min(HopperForm.block, weights.columns - first) {
      let code = weights.codes[start + column]
      line[column] =
        halvings.isEmpty
        ? code : TileCoding.halved(code, times: halvings[row * groups + (first + column) / weights.group])
    }
    return line
  }
}
