// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import CAccelerators
import MoE
import Tensors
import Testing

@testable import MoECUDA

/// How weights lie for the kernels of Hopper.
@Suite struct HopperRegionTests {
  /// What an expert's region holds after all of its slices were packed, in parts as they are loaded.
  private static func region(
    _ specification: LayerSpecification, _ form: HopperForm, _ weights: (Projection) throws -> CodedWeights
  ) throws -> (HopperRegion, [UInt8]) {
    let region = HopperRegion(specification, form)
    var bytes = [UInt8](repeating: 0, count: region.byteCount)
    for projection in specification.projections {
      let whole = try weights(projection)
      let groups = whole.scales.count / whole.rows
      for part in [0..<128, 128..<whole.rows] {
        var slice = whole
        slice.rows = part.count
        slice.codes = Array(whole.codes[part.lowerBound * whole.columns..<part.upperBound * whole.columns])
        slice.scales = Array(whole.scales[part.lowerBound * groups..<part.upperBound * groups])
        if case .zero(let zeros) = whole.correction {
          slice.correction = .zero(Array(zeros[part.lowerBound * groups..<part.upperBound * groups]))
        }
        if case .minimum(let minimums) = whole.correction {
          slice.correction = .minimum(Array(minimums[part.lowerBound * groups..<part.upperBound * groups]))
        }
        if let factors = whole.factors {
          let count = factors.scales.count / whole.rows
          let range = part.lowerBound * count..<part.upperBound * count
          slice.factors?.scales = Array(factors.scales[range])
          if !factors.minimums.isEmpty { slice.factors?.minimums = Array(factors.minimums[range]) }
        }
        let parts = try region.slices(
          ParameterSlice(projection, .weight, firstRow: part.lowerBound, .codes(slice)))
        for part in parts {
          // A few rows at a time, as the staging memory does.
          for first in stride(from: 0, to: part.rowCount, by: 5) {
            let rows = first..<min(first + 5, part.rowCount)
            let start = part.offset + first * part.rowBytes
            try unsafe bytes.withUnsafeMutableBytes { all in
              try unsafe part.pack(
                rows, UnsafeMutableRawBufferPointer(rebasing: all[start..<start + rows.count * part.rowBytes]))
            }
          }
        }
      }
    }
    return (region, bytes)
  }

  private static func codes(_ type: WeightType, _ size: (rows: Int, columns: Int), seed: UInt32) throws -> CodedWeights
  {
    var state = seed
    let values = (0..<size.rows * size.columns).map { _ -> Float in
      state = state &* 1_664_525 &+ 1_013_904_223
      return Float(state >> 8) / Float(1 << 23) - 1
    }
    let decoder = try type.scheme.decoder(of: type.scheme.encode(values, rows: size.rows, columns: size.columns))
    return try #require(decoder.coded(rows: 0..<size.rows, columns: 0..<size.columns))
  }

  /// That of random weights, and these.
  private static func region(
    _ specification: LayerSpecification, _ form: HopperForm, of type: WeightType
  ) throws -> (HopperRegion, [UInt8], [Projection: CodedWeights]) {
    var truth: [Projection: CodedWeights] = [:]
    let (region, bytes) = try region(specification, form) { projection in
      let made = try codes(type, specification.size(of: projection), seed: UInt32(truth.count + 1))
      truth[projection] = made
      return made
    }
    return (region, bytes, truth)
  }

  private static func float(_ bytes: [UInt8], _ offset: Int) -> Float {
    Float(bitPattern: (0..<4).reversed().reduce(0) { $0 << 8 | UInt32(bytes[offset + $1]) })
  }

  @Test func blocksOfE4M3() throws {
    let specification = try sampleSpecification(.fp8Block, hidden: 272, intermediate: 400)
    let (region, bytes, truth) = try Self.region(specification, .e4m3Block, of: .fp8Block)
    for (projection, weights) in truth {
      let (rows, columns) = specification.size(of: projection)
      let codes = region.offset(of: .weights, projection)
      #expect(Array(bytes[codes..<codes + rows * columns]) == weights.codes)
      let decoded = weights.decode(), scales = region.offset(of: .scales, projection)
      // Rows of scales are padded to 16 bytes.
      let pitch = (columns + 127) / 128 <= 4 ? 4 : 8
      for (row, column) in [(0, 0), (127, 127), (128, 128), (rows - 1, columns - 1), (200, 130)] {
        let scale = Self.float(bytes, scales + (row / 128 * pitch + column / 128) * 4)
        #expect(
          MiniFloat.e4m3fn.decode(weights.codes[row * columns + column]) * scale == decoded[row * columns + column])
      }
    }
    // Gate and up are one array.
    #expect(region.offset(of: .weights, .up) == 400 * 272)
    #expect(region.offset(of: .scales, .up) - region.offset(of: .scales, .gate) == 4 * 4 * 4)
  }

  @Test func rowsOfE4M3() throws {
    let specification = try sampleSpecification(.fp8Channel, hidden: 272, intermediate: 400)
    let (region, bytes, truth) = try Self.region(specification, .e4m3Rows, of: .fp8Channel)
    for (projection, weights) in truth {
      let codes = region.offset(of: .weights, projection), scales = region.offset(of: .scales, projection)
      #expect(Array(bytes[codes..<codes + weights.codes.count]) == weights.codes)
      #expect((0..<weights.rows).map { Self.float(bytes, scales + 4 * $0) } == weights.scales)
    }
    #expect(region.offset(of: .scales, .up) - region.offset(of: .scales, .gate) == 4 * 400)
  }

  @Test func rowsOfABlockWithScalesOfTheirOwn() throws {
    let specification = try sampleSpecification(.fp8Block)
    let error = #expect(throws: MoEError.self) {
      _ = try Self.region(specification, .e4m3Block) { projection in
        var made = try Self.codes(.fp8Block, specification.size(of: projection), seed: 1)
        made.scales[2 * 130] *= 2
        return made
      }
    }
    #expect(error?.description.contains("128 rows") == true)
  }

  /// Read back as `codes.cuh` says that lanes find them.
  @Test(arguments: [
    (WeightType.mxfp4, HopperForm.mxfp4), (.nvfp4, .nvfp4), (.int4Group(128, isSymmetric: true), .int4Groups128),
    (.int4Group(256, isSymmetric: false), .int4Groups128), (.int4Group(32, isSymmetric: false), .int4Groups32),
    (.int4Group(64, isSymmetric: true), .int4Groups32), (.ggml(.q4_0), .int4Groups32), (.fp8Channel, .e4m3Groups128),
    (.fp8Block, .e4m3Groups128), (.mxfp8, .e4m3Groups32), (.int8Channel, .int8Groups128),
    (.ggml(.q8_0), .int8Groups32), (.ggml(.q5_K), .int8Groups32), (.ggml(.iq4_NL), .int8Groups32),
    (.ggml(.q6_K), .int8Groups16), (.ggml(.q2_K), .int8Groups16), (.ggml(.q4_K), .int4Minimums32),
    (.ggml(.q4_1), .int4Minimums32), (.ggml(.mxfp4), .mxfp4), (.mxfp4, .mxfp4E4M3),
  ])
  func tiles(type: WeightType, form: HopperForm) throws {
    // Not a multiple of a tile's columns where the type's groups allow it.
    let short = [HopperForm.mxfp4, .nvfp4, .e4m3Groups32, .mxfp4E4M3].contains(form)
    let specification = try sampleSpecification(type, hidden: short ? 288 : 256, intermediate: short ? 160 : 512)
    let (region, bytes, truth) = try Self.region(specification, form, of: type)
    for (projection, weights) in truth {
      let reader = TileReader(
        form: form, bytes: bytes, start: region.offset(of: .weights, projection), columns: weights.columns,
        factor: form.hasFactors ? Self.float(bytes, region.offset(of: .scales, projection)) : 1)
      let decoded = weights.decode(), groups = weights.scales.count / weights.rows
      var worst: Float = 0
      for row in 0..<weights.rows {
        for column in 0..<weights.columns {
          let (found, expected) = (reader.value(row, column), decoded[row * weights.columns + column])
          // Where there are minima, the value in the middle and the product of what is beside it are rounded, and may cancel.
          let index = row * groups + column / weights.group
          let range = weights.minimum(at: index) == 0 ? 0 : weights.scale(at: index) * weights.table.max()!
          worst = max(worst, abs(found - expected) / max(abs(expected) + abs(range), 1e-6))
        }
      }
      // Scales in bf16 are rounded.
      let bound: Float = [HopperForm.mxfp4, .nvfp4, .mxfp4E4M3].contains(form) ? 1e-6 : 0x1p-8
      #expect(worst <= bound, "\(projection)")
    }
  }

  @Test func scalesOfMXFP4BeyondTheKernels() throws {
    let specification = try sampleSpecification(.mxfp4)
    func store(_ scale: Float) throws -> (HopperRegion, [UInt8]) {
      try Self.region(specification, .mxfp4) { projection in
        var made = try Self.codes(.mxfp4, specification.size(of: projection), seed: 3)
        made.scales[0] = scale
        return made
      }
    }
    // Too small for anything to remain of it: zeros.
    let (region, bytes) = try store(0x1p-100)
    let start = region.offset(of: .weights, .gate)
    #expect(stride(from: 0, to: 64, by: 16).allSatisfy { bytes[start + $0..<start + $0 + 4].allSatisfy { $0 == 0 } })
    #expect(bytes[start + 4..<start + 16].contains { $0 != 0 } && bytes[start + 512] == 63 | 128)
    #expect(throws: MoEError.self) { try store(0x1p62) }
  }

  /// Groups of a row's 256 columns may be 2¹¹ apart; what is smaller is rounded to what the greatest leaves.
  @Test func scalesOfMXFP4ThatBecomesE4M3() throws {
    let specification = try sampleSpecification(.mxfp4)
    var truth: [Projection: CodedWeights] = [:]
    let exponents: [Float] = [0, -11, -12, -16, -1, 3, -8, -9, -127, -126, -125, -120]
    let (region, bytes) = try Self.region(specification, .mxfp4E4M3) { projection in
      var made = try Self.codes(.mxfp4, specification.size(of: projection), seed: 5)
      for (group, exponent) in exponents.enumerated() where group < made.columns / 32 {
        made.scales[group] = E8M0.decode(UInt8(exponent + 127))
      }
      truth[projection] = made
      return made
    }
    for (projection, weights) in truth {
      let reader = TileReader(
        form: .mxfp4E4M3, bytes: bytes, start: region.offset(of: .weights, projection), columns: weights.columns,
        factor: 1)
      let decoded = weights.decode()
      for column in 0..<weights.columns {
        let greatest = weights.scales[column / 256 * 8..<min(column / 256 * 8 + 8, weights.columns / 32)].max()!
        let difference = abs(reader.value(0, column) - decoded[column])
        let isExact = weights.scales[column / 32] >= greatest * 0x1p-11
        #expect(difference <= (isExact ? 0 : greatest * 0x1p-13), "\(projection), \(column)")
      }
    }
  }

  @Test(arguments: [true, false])
  func rowsOfBF16(isGated: Bool) throws {
    var specification = try sampleSpecification(.f16, Activation(.silu, isGated: isGated), hidden: 48, intermediate: 32)
    specification.hasBias = true
    let region = HopperRegion(specification, .bf16)
    let last = region.offset(of: .bias, .down) + 4 * 48
    #expect(region.byteCount >= last && region.byteCount % 256 == 0)
    #expect(region.first == (isGated ? .gate : .up))
    if isGated {
      #expect(region.offset(of: .weights, .up) == 2 * 48 * 32)
      #expect(region.offset(of: .bias, .up) - region.offset(of: .bias, .gate) == 4 * 32)
    }
    let values = (0..<48 * 32).map { Float($0) / 1000 }
    var bytes = [UInt8](repeating: 0, count: region.byteCount)
    try unsafe ElementType.f16.encode(values).withUnsafeBytes { source in
      let view = unsafe ParameterView(
        base: source.baseAddress!, elementType: .f16, rows: 32, columns: 48, rowStride: 48, columnStride: 1)
      for part in try region.slices(ParameterSlice(.up, .weight, .dense(view))) {
        try unsafe bytes.withUnsafeMutableBytes { all in
          try unsafe part.pack(
            0..<part.rowCount,
            UnsafeMutableRawBufferPointer(rebasing: all[part.offset..<part.offset + part.rowCount * part.rowBytes]))
        }
      }
    }
    let start = region.offset(of: .weights, .up)
    let rounded = ElementType.bf16.encode(ElementType.f16.decode(ElementType.f16.encode(values)))
    #expect(Array(bytes[start..<start + 2 * 48 * 32]) == rounded)
  }
}

/// Reads weights out of tiles, one at a time, by the kernels' own steps.
private struct TileReader {
  let form: HopperForm
  let bytes: [UInt8]
  let start, columns: Int
  let factor: Float

  func value(_ row: Int, _ column: Int) -> Float {
    let tile = start + (row / 8 * ((columns + 127) / 128) + column / 128) * form.tileBytes
    let (g, c) = (row % 8, column % 128)
    if form == .mxfp4E4M3 { return e4m3(tile, g, c) }
    let (j, i, t) = (c / 32, c % 32 / 8, c % 8 / 2)
    let place = form.bits == 4 ? 4 * j : j / 2 * 512 + (j % 2 * 2 + i / 2) * 4
    let word = self.word(tile + g * 64 + t * 16 + place)
    let isInteger = form.name.hasPrefix("int")
    let pair =
      isInteger
      ? (form.bits == 8 ? word >> (8 * (i % 2)) & 0x00ff_00ff : word >> (4 * i) & 0x000f_000f)
      : form.bits == 8 ? eightBits(word, i % 2) : fourBits(word, i)
    let code = c % 2 == 0 ? pair & 0xffff : pair >> 16
    let number = tile + 8 * 128 * form.bits / 8 + g * form.tileScaleBytes + c / form.coding!.group * form.coding!.bytes
    switch form {
    case .mxfp4:
      let byte = UInt32(bytes[number])
      return float(code) * float((byte & 0x7f) << 8 | byte & 0x80) * 0x1p60
    case .nvfp4:
      let byte = UInt32(bytes[number])
      return float(code) * float((byte & 0x0f | 0x60) << 8 | byte & 0xf0) * 0x1p52 * factor
    case .int4Groups128, .int4Groups32:
      let numbers = self.word(number)
      return (128 + Float(code) - float(numbers >> 16)) * float(numbers & 0xffff)
    case .int8Groups128:
      let numbers = self.word(number)
      return (Float(Int8(truncatingIfNeeded: code)) - float(numbers >> 16)) * float(numbers & 0xffff)
    case .int8Groups32, .int8Groups16:
      let numbers = self.word(number)
      return Float(Int8(truncatingIfNeeded: code)) * float(numbers & 0xffff) + float(numbers >> 16)
    case .int4Minimums32:
      let numbers = self.word(number)
      return (Float(code) - 8) * float(numbers & 0xffff) + float(numbers >> 16)
    default:
      let numbers = self.word(number)
      #expect(numbers & 0xffff == numbers >> 16)
      return float(code) * float(numbers & 0xffff) * 0x1p60
    }
  }

  /// A code that chooses a byte.
  private func e4m3(_ tile: Int, _ row: Int, _ column: Int) -> Float {
    let (t, j, second, i) = (column / 32, column % 32 / 8, column % 8 / 4, column % 4)
    let codes = word(tile + row * 64 + t * 16 + 4 * j), numbers = word(tile + 512 + row * 4)
    let magnitude = Int((codes >> UInt32(16 * second + 4 * i)) & 7)
    let half = (numbers >> UInt32(8 * t)) & 0x78
    let byte = magnitude == 0 ? 0 : UInt8(half) + [0, 0, 8, 12, 16, 20, 24, 28][magnitude]
    let isNegative = (codes >> UInt32(8 * i + 7 - 4 * second)) & 1 == 1
    let factor = Float(bitPattern: (numbers & 0x0780_0000) | ((numbers << 20) & 0x7800_0000))
    return (isNegative ? -1 : 1) * MiniFloat.e4m3fn.decode(byte) * factor
  }

  private func fourBits(_ word: UInt32, _ pair: Int) -> UInt32 {
    switch pair {
    case 0: word & 0x81c0_81c0
    case 1: word << 4 & 0x81c0_81c0
    case 2: (word << 10 | word >> 22) & 0x81c0_81c0
    default: word << 6 & 0x80c0_80c0 | word >> 2 & 0x0100_0100
    }
  }

  private func eightBits(_ word: UInt32, _ pair: Int) -> UInt32 {
    pair == 0
      ? word << 8 & 0x8000_8000 | word << 4 & 0x07f0_07f0 : word & 0x8000_8000 | word >> 4 & 0x07f0_07f0
  }

  private func word(_ place: Int) -> UInt32 {
    (0..<4).reduce(0) { $0 | UInt32(bytes[place + $1]) << UInt32(8 * $1) }
  }

  /// Of a bf16.
  private func float(_ bits: UInt32) -> Float { Float(bitPattern: bits << 16) }
}
