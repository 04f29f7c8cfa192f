// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import CAccelerators
internal import MoE
internal import Tensors

/// Where the matrices of an expert lie in its region for the kernels of Hopper: the weights of gate, up and down, then their
/// scales, then their biases, so that gate and up are one array in each of the three.
struct HopperRegion: Sendable {
  let form: HopperForm
  private let specification: LayerSpecification
  private let starts: [Place: Int]
  let byteCount: Int

  enum Part: CaseIterable { case weights, scales, bias }

  private struct Place: Hashable {
    var part: Part
    var projection: Projection
  }

  init(_ specification: LayerSpecification, _ form: HopperForm) {
    self.form = form
    self.specification = specification
    var (starts, end): ([Place: Int], Int) = ([:], 0)
    for part in Part.allCases {
      for projection in specification.projections {
        starts[Place(part: part, projection: projection)] = end
        end += Self.byteCount(part, specification.size(of: projection), specification.hasBias, form)
      }
      end = end.aligned(to: 256)
    }
    self.starts = starts
    byteCount = end
  }

  private static func byteCount(
    _ part: Part, _ size: (rows: Int, columns: Int), _ hasBias: Bool, _ form: HopperForm
  ) -> Int {
    switch part {
    case .weights: form.weightBytes(rows: size.rows, columns: size.columns)
    case .scales: 4 * form.scaleCount(rows: size.rows, columns: size.columns)
    case .bias: hasBias ? 4 * size.rows : 0
    }
  }

  /// Bytes from the region's start.
  func offset(of part: Part, _ projection: Projection) -> Int { starts[Place(part: part, projection: projection)]! }

  /// The first of gate and up, or of up alone.
  var first: Projection { specification.projections[0] }

  /// What rows and biases are packed by.
  private func matrix(_ projection: Projection) -> moe_matrix {
    let size = specification.size(of: projection)
    var matrix = moe_matrix()
    (matrix.rows, matrix.columns) = (Int32(size.rows), Int32(size.columns))
    (matrix.bits, matrix.number) = (form == .bf16 ? 0 : Int32(form.bits), Int32(MOE_BF16))
    matrix.has_bias = specification.hasBias ? 1 : 0
    matrix.weights = Int64(offset(of: .weights, projection))
    matrix.row_bytes = Int64(size.columns * form.bits / 8)
    matrix.bias = Int64(offset(of: .bias, projection))
    return matrix
  }

  /// The arrays that a slice of parameters becomes.
  func slices(_ slice: ParameterSlice) throws(MoEError) -> [RegionSlice] {
    let matrix = matrix(slice.projection)
    switch slice.content {
    case .dense(let view): return [try RegionSlice.dense(view, slice, matrix, .bf16)]
    case .codes(let weights) where form.coding != nil:
      let tiles = try CodedTiles(weights, form, slice.projection)
      return [tiles.slice(at: Int(matrix.weights), firstRow: slice.firstRow)]
        + (form.hasFactors ? [try factor(weights, slice)] : [])
    case .codes(let weights):
      let scales = form.inputs == .e4m3InRows ? rowScales(weights, slice) : try blockScales(weights, slice)
      return [RegionSlice.codes(weights, slice, matrix), scales]
    }
  }

  /// The factor of a matrix: all of its slices have the same.
  private func factor(_ weights: CodedWeights, _ slice: ParameterSlice) throws(MoEError) -> RegionSlice {
    let factors = weights.factors?.scales ?? []
    guard let factor = factors.first, factors.allSatisfy({ $0 == factor }) else {
      throw MoEError(
        .invalidValue, "rows of a \(slice.projection) have factors of their own", expected: "one for the matrix",
        found: "several")
    }
    return RegionSlice(
      ElementType.f32.encode([factor]), rowBytes: 4, offset: offset(of: .scales, slice.projection))
  }

  /// A scale for each row of weights.
  private func rowScales(_ weights: CodedWeights, _ slice: ParameterSlice) -> RegionSlice {
    RegionSlice(
      ElementType.f32.encode(weights.scales), rowBytes: 4,
      offset: offset(of: .scales, slice.projection) + 4 * slice.firstRow)
  }

  /// A row of scales for 128 rows of weights.
  private func blockScales(_ weights: CodedWeights, _ slice: ParameterSlice) throws(MoEError) -> RegionSlice {
    let groups = HopperForm.blocks(weights.columns), pitch = HopperForm.scalePitch(weights.columns)
    var scales: [Float] = []
    for first in stride(from: 0, to: weights.rows, by: HopperForm.block) {
      let row = weights.scales[first * groups..<(first + 1) * groups]
      for other in first..<min(first + HopperForm.block, weights.rows)
      where !row.elementsEqual(weights.scales[other * groups..<(other + 1) * groups]) {
        throw MoEError(
          .invalidValue, "rows of a \(slice.projection) have scales of their own", expected: "one for 128 rows",
          found: "others in row \(slice.firstRow + other)")
      }
      scales += row + [Float](repeating: 0, count: pitch - groups)
    }
    return RegionSlice(
      ElementType.f32.encode(scales), rowBytes: 4 * pitch,
      offset: offset(of: .scales, slice.projection) + slice.firstRow / HopperForm.block * 4 * pitch)
  }
}
