// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import MoE
internal import Tensors

/// Codes of mxfp4 in tiles of 8 rows and 128 columns, as `fp4.cuh` describes them.
struct FP4Tiles {
  private let weights: CodedWeights
  /// [rows, groups]: the bytes that scales are stored as.
  private let scales: [UInt8]

  private static let (columns, groups, rowBytes) = (128, 4, 64)
  /// Bytes of scales that the kernels multiply by. What lies below is less than 2⁻⁶³ of anything and counts as 0.
  private static let range: ClosedRange<UInt8> = 61...188

  /// - Throws: `invalidValue` for a scale above 2⁶¹.
  init(_ weights: CodedWeights, _ projection: Projection) throws(MoEError) {
    self.weights = weights
    scales = weights.scales.map { E8M0.encode($0) }
    guard scales.allSatisfy({ $0 <= Self.range.upperBound }), weights.table == MiniFloat.e2m1.table else {
      throw MoEError(
        .invalidValue, "the \(projection) can't be kept as the kernels of mxfp4 take it", expected: "scales up to 2^61",
        found: "others")
    }
  }

  /// Groups of 8 rows, one after the other.
  func slice(at start: Int64, firstRow: Int) -> RegionSlice {
    let blocks = HopperForm.blocks(weights.columns), form = HopperForm.mxfp4
    let groupBytes = blocks * form.tileBytes
    return unsafe RegionSlice(
      offset: Int(start) + firstRow / HopperForm.tileRows * groupBytes, rowCount: weights.rows / HopperForm.tileRows,
      rowBytes: groupBytes
    ) { (groups, target) throws(MoEError) in
      for (index, group) in groups.enumerated() {
        for block in 0..<blocks {
          let tile = unsafe target.baseAddress! + index * groupBytes + block * form.tileBytes
          for row in 0..<HopperForm.tileRows {
            unsafe pack(
              row: group * HopperForm.tileRows + row, block, codes: tile + row * Self.rowBytes,
              scales: tile + HopperForm.tileRows * Self.rowBytes + row * Self.groups)
          }
        }
      }
    }
  }

  /// 128 columns of a row. Lane t of 4 has word 4t + j for columns 32j to 32j + 31: its nibble i is column
  /// 32j + 8i + 2t, and nibble i + 4 the one after that.
  private func pack(
    row: Int, _ block: Int, codes: UnsafeMutableRawPointer, scales target: UnsafeMutableRawPointer
  ) {
    let groupCount = weights.scales.count / weights.rows
    for j in 0..<Self.groups where block * Self.groups + j < groupCount {
      let scale = scales[row * groupCount + block * Self.groups + j]
      unsafe target.storeBytes(of: max(scale, Self.range.lowerBound), toByteOffset: j, as: UInt8.self)
      guard scale >= Self.range.lowerBound else { continue }
      let first = block * Self.columns + 32 * j, end = weights.columns
      for t in 0..<4 {
        var word: UInt32 = 0
        for i in 0..<4 {
          let column = first + 8 * i + 2 * t
          guard column + 1 < end else { continue }
          let place = row * weights.columns + column
          word |= UInt32(weights.codes[place]) << UInt32(4 * i) | UInt32(weights.codes[place + 1]) << UInt32(4 * i + 16)
        }
        unsafe codes.storeBytes(of: word.littleEndian, toByteOffset: 4 * (4 * t + j), as: UInt32.self)
      }
    }
  }
}
