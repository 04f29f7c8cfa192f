// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import CAccelerators
import MoE
import Tensors
import Testing

@testable import MoECUDA

/// An expert's region holds its weights: read back bit by bit, as `moe_device.h` describes it.
@Suite struct RegionTests {
  static let types: [WeightType] = WeightType.allNames.compactMap {
    try? WeightType(parsing: $0.replacing("gN", with: "g32"))
  }

  private static func weights(_ count: Int) -> [Float] {
    var state: UInt32 = 7
    return (0..<count).map { _ in
      state = state &* 1_664_525 &+ 1_013_904_223
      return Float(state >> 8) / Float(1 << 23) - 1
    }
  }

  @Test(arguments: types.filter { $0.elementType == nil })
  func codes(type: WeightType) throws {
    let specification = try LayerSpecification(expertCount: 1, hiddenSize: 256, intermediateSize: 256).converted(
      to: type)
    let region = ExpertRegion(specification)
    var bytes = [UInt8](repeating: 0, count: region.byteCount)
    // Encoding takes long: the projections are rows of one matrix, each from another row on.
    let columns = 256
    let decoder = try type.scheme.decoder(
      of: type.scheme.encode(Self.weights(272 * columns), rows: 272, columns: columns))
    for (index, projection) in specification.projections.enumerated() {
      // In two parts, as they are loaded.
      for part in [0..<72, 72..<256] {
        let rows = part.lowerBound + 8 * index..<part.upperBound + 8 * index
        let codes = try #require(decoder.coded(rows: rows, columns: 0..<columns))
        try Self.store(
          ParameterSlice(projection, .weight, firstRow: part.lowerBound, .codes(codes)), region[projection], .f32,
          &bytes)
      }
    }
    let decoded = try #require(decoder.coded(rows: 0..<272, columns: 0..<columns)).decode()
    for (index, projection) in specification.projections.enumerated() {
      let reader = RegionReader(matrix: region[projection], bytes: bytes)
      #expect(reader.isAligned)
      #expect(reader.decoded() == Array(decoded[8 * index * columns..<(8 * index + 256) * columns]), "\(projection)")
    }
  }

  @Test(arguments: [ElementType.f32, .f16, .bf16], [false, true])
  func dense(type: ElementType, isTransposed: Bool) throws {
    var specification = LayerSpecification(expertCount: 1, hiddenSize: 40, intermediateSize: 24, elementType: type)
    specification.hasBias = true
    let region = ExpertRegion(specification)
    var bytes = [UInt8](repeating: 0, count: region.byteCount)
    for projection in specification.projections {
      let (rows, columns) = specification.size(of: projection)
      // Stored in another type than they are kept in where they are not turned.
      let stored: ElementType = isTransposed ? type : .f32
      let values = type.decode(type.encode(Self.weights(rows * columns)))
      let place = { (row: Int, column: Int) in isTransposed ? column * rows + row : row * columns + column }
      var turned = values
      for row in 0..<rows { for column in 0..<columns { turned[place(row, column)] = values[row * columns + column] } }
      let encoded = stored.encode(turned)
      let bias = ElementType.f32.encode(Self.weights(rows))
      try unsafe encoded.withUnsafeBytes { weights in
        let view = unsafe ParameterView(
          base: weights.baseAddress!, elementType: stored, rows: rows, columns: columns,
          rowStride: isTransposed ? 1 : columns, columnStride: isTransposed ? rows : 1)
        try Self.store(ParameterSlice(projection, .weight, .dense(view)), region[projection], type, &bytes)
      }
      try unsafe bias.withUnsafeBytes { values in
        let view = unsafe ParameterView(
          base: values.baseAddress!, elementType: .f32, rows: rows, columns: 1, rowStride: 1, columnStride: 1)
        try Self.store(ParameterSlice(projection, .bias, .dense(view)), region[projection], type, &bytes)
      }
      let reader = RegionReader(matrix: region[projection], bytes: bytes)
      #expect(reader.isAligned)
      #expect(reader.decoded() == values)
      #expect(reader.bias() == Self.weights(rows))
    }
  }

  private static func store(
    _ slice: ParameterSlice, _ matrix: moe_matrix, _ resident: ElementType, _ bytes: inout [UInt8]
  ) throws {
    for part in try RegionSlice.slices(slice, in: matrix, resident) {
      try unsafe bytes.withUnsafeMutableBytes { region in
        let target = unsafe UnsafeMutableRawBufferPointer(
          rebasing: region[part.offset..<part.offset + part.rowCount * part.rowBytes])
        try unsafe part.pack(0..<part.rowCount, target)
      }
    }
  }
}

/// Reads a matrix as the kernels do, one weight at a time.
private struct RegionReader {
  let matrix: moe_matrix
  let bytes: [UInt8]

  /// Whether rows and arrays begin where the kernels' widest loads may read.
  var isAligned: Bool {
    ([matrix.row_bytes] + MatrixPart.allCases.map { matrix[keyPath: $0.offset] }).allSatisfy { $0 % 16 == 0 }
  }

  func decoded() -> [Float] {
    (0..<Int(matrix.rows)).flatMap { row in (0..<Int(matrix.columns)).map { value(row, $0) } }
  }

  func bias() -> [Float] { (0..<Int(matrix.rows)).map { number(matrix.bias, Int32(MOE_F32), $0) } }

  private func value(_ row: Int, _ column: Int) -> Float {
    let start = matrix.weights + Int64(row) * matrix.row_bytes
    guard matrix.bits > 0 else { return number(start, matrix.number, column) }
    let bits = Int(matrix.bits)
    let code = (column * bits..<(column + 1) * bits).reversed().reduce(0) { code, bit in
      code << 1 | Int(bytes[Int(start) + bit / 8] >> UInt8(bit % 8) & 1)
    }
    let group = row * Int(matrix.groups) + column / Int(matrix.group)
    var scale = number(matrix.scales, matrix.scale, group)
    var correction = matrix.correction == MOE_NOTHING ? 0 : number(matrix.corrections, matrix.correction_number, group)
    if matrix.super_group > 0 {
      let index = row * Int(matrix.super_groups) + column / Int(matrix.super_group)
      scale = number(matrix.factors, matrix.factor, index) * scale
      if matrix.correction == MOE_MINIMUM { correction *= number(matrix.minimum_factors, matrix.factor, index) }
    }
    let base = number(matrix.table, Int32(MOE_F32), code)
    switch Int(matrix.correction) {
    case MOE_ZERO: return (base - correction) * scale
    case MOE_MINIMUM: return base * scale - correction
    default: return base * scale
    }
  }

  private func number(_ start: Int64, _ type: Int32, _ index: Int) -> Float {
    func bits(_ width: Int) -> UInt32 {
      (0..<width).reversed().reduce(0) { $0 << 8 | UInt32(bytes[Int(start) + index * width + $1]) }
    }
    switch Int(type) {
    case MOE_F32: return Float(bitPattern: bits(4))
    case MOE_F16: return Float(Float16(bitPattern: UInt16(bits(2))))
    case MOE_BF16: return Float(bitPattern: bits(2) << 16)
    case MOE_E8M0: return E8M0.decode(UInt8(bits(1)))
    case MOE_E4M3: return MiniFloat.e4m3fn.decode(UInt8(bits(1)))
    case MOE_U8: return Float(bits(1))
    default: return Float(Int8(bitPattern: UInt8(bits(1))))
    }
  }
}
