// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import Foundation
import MoE
import Tensors
import Testing

/// Every scheme that writes: what it writes is what it declares, near to the weights, and stable.
@Suite struct EncodingTests {
  static let schemes: [any QuantizationScheme] =
    RandomProjection.schemes.filter { ($0 as? BitsAndBytes4)?.nestedBlockSize == nil } + [
      FP8(.block(rows: 128, columns: 128), scaleType: .f8e8m0), FP8(.channel, scaleType: .bf16), Unquantized(.f16),
      MXFP4(.deepSeekV4), MXFP4(.modelOpt), MXFP6(isE3M2: true), GPTQ(bits: 4, groupSize: 32, isSymmetric: false),
      GPTQ(bits: 3, groupSize: 32, isVersion2: true, isSymmetric: false), BitsAndBytes4(kind: "fp4"),
      PackedIntegers(bits: 4, .group(32), isSymmetric: false), ChannelIntegers(.group(32), isSymmetric: false),
    ]

  enum Shape: CaseIterable { case normal, heavyTailed, positive, small }

  static func weights(_ shape: Shape, count: Int, seed: UInt64 = 3) -> [Float] {
    var generator = SplitMix64(seed: seed)
    return (0..<count).map { _ in
      let normal = Float(generator.normal()) * 0.02
      switch shape {
      case .normal: return normal
      case .heavyTailed: return normal * Float(pow(10, 2.5 * generator.unitInterval() - 1))
      case .positive: return normal.magnitude
      case .small: return normal * 1e-4
      }
    }
  }

  static let (rows, columns) = (96, 128)

  @Test(arguments: schemes.indices, Shape.allCases)
  func bounds(index: Int, shape: Shape) throws {
    let scheme = Self.schemes[index]
    let weights = Self.weights(shape, count: Self.rows * Self.columns)
    let stored = try scheme.encode(weights, rows: Self.rows, columns: Self.columns, name: "p")
    for (role, tensor) in stored.tensors {
      let declared = try #require(scheme.tensor(role))
      #expect(
        tensor.elementType == declared.elementTypes[0]
          && tensor.shape == (declared.shapes(rows: Self.rows, columns: Self.columns).first ?? tensor.shape))
    }
    let decoder = try scheme.decoder(of: stored)
    #expect(decoder.valueFaults() == [])
    let decoded = decoder.decode()
    let groups = Self.groups(scheme)
    for group in groups {
      let greatest = group.map { weights[$0].magnitude }.max()!
      for place in group {
        let bound = Self.bound(scheme, weights[place].magnitude, greatest, shape)
        #expect(
          (decoded[place] - weights[place]).magnitude <= bound, "\(scheme.name) \(weights[place]) \(decoded[place])")
      }
    }
    // Weights that the format can hold come back as they are.
    let again = try scheme.encode(decoded, rows: Self.rows, columns: Self.columns)
    let second = try scheme.decoder(of: again).decode()
    let differing = zip(second, decoded).count { $0 != $1 }
    #expect(differing == 0, "\(scheme.name)")
  }

  /// The places that share a scale.
  private static func groups(_ scheme: any QuantizationScheme) -> [[Int]] {
    var groups: [Int: [Int]] = [:]
    for place in 0..<rows * columns {
      let (row, column) = (place / columns, place % columns)
      let group =
        switch scheme.parameters.granularity {
        case .tensor: 0
        case .channel: row
        case .group(let size): row * columns + column / size
        case .block(let height, let width): row / height * columns + column / width
        case .flat(let size): place / size
        }
      groups[group, default: []].append(place)
    }
    return Array(groups.values)
  }

  /// Half a step of the codes, and what the rounding of the scale adds.
  private static func bound(_ scheme: any QuantizationScheme, _ value: Float, _ greatest: Float, _ shape: Shape)
    -> Float
  {
    let parameters = scheme.parameters
    switch scheme {
    case let dense as Unquantized:
      return dense.elementType == .f32 ? 0 : max(value * (dense.elementType == .bf16 ? 0x1p-8 : 0x1p-11), 0x1p-25)
    case is MXFP8: return max(value * 0x1p-4, greatest * 0x1p-17) * 1.01
    case let mx as MXFP6:
      return mx.isE3M2 ? max(value / 8, greatest * 0x1p-6) * 1.1 : max(value / 16, greatest / 32) * 1.1
    case is MXFP4, is GPTOSSMXFP4: return max(value / 4, greatest / 6)
    case is NVFP4: return max(value / 4, greatest / 11) * 1.13 + 1e-3 * 0.02
    case let fp8 as FP8:
      let floor: Float =
        switch fp8.granularity {
        case .channel: 1 / 512
        case .block: 1e-4
        default: 0
        }
      // Half a code, or half the least one; e8m0 scales are up to twice as great.
      return max(value * 0x1p-4, max(greatest, floor) / 448 * 0x1p-9) * 1.02
    case let nibbles as BitsAndBytes4: return greatest * (nibbles.kind == "nf4" ? 0.153 : 0.168)
    default:
      let steps = Float(1 << parameters.bits) - 1
      // Zero points are whole numbers: each end may lose half a step; version 1 of GPTQ loses a code.
      let range = 2 * greatest
      return range / max(steps - 1, 1) * (parameters.isSymmetric ? 0.51 : 1.02) + greatest * 0x1p-7
    }
  }

  @Test(arguments: schemes.indices) func zeros(index: Int) throws {
    let scheme = Self.schemes[index]
    let zeros = [Float](repeating: 0, count: Self.rows * Self.columns)
    let decoder = try scheme.decoder(of: scheme.encode(zeros, rows: Self.rows, columns: Self.columns))
    #expect(decoder.decode().allSatisfy { $0 == 0 })
    #expect(decoder.valueFaults() == [])
    // One row of zeros among others.
    var weights = Self.weights(.normal, count: zeros.count)
    weights.replaceSubrange(128..<256, with: zeros[0..<128])
    let other = try scheme.decoder(of: scheme.encode(weights, rows: Self.rows, columns: Self.columns))
    #expect(other.decode()[128..<256].allSatisfy { $0 == 0 })
    #expect(other.valueFaults() == [])
  }

  @Test(arguments: schemes.indices) func headersWithoutWeights(index: Int) throws {
    let scheme = Self.schemes[index]
    let stored = try scheme.encode(Self.weights(.normal, count: 96 * 128), rows: 96, columns: 128)
    let headers = try scheme.encodedTensors(rows: 96, columns: 128)
    #expect(headers.count == stored.tensors.count)
    for (tensor, header) in headers {
      #expect(
        stored.tensors[tensor.role].map { .init($0.elementType, $0.shape) } == header, "\(scheme.name) \(tensor.role)")
    }
  }

  @Test(arguments: schemes.indices) func badInput(index: Int) {
    let scheme = Self.schemes[index]
    let weights = Self.weights(.normal, count: 96 * 128)
    expectFaults([.invalidArgument]) { _ = try scheme.encode(weights, rows: 96, columns: 256) }
    expectFaults([.invalidArgument]) { _ = try scheme.encode(weights, rows: -96, columns: 128) }
    for value in [Float.nan, .infinity, -.infinity] {
      var wrong = weights
      wrong[200] = value
      wrong[201] = value
      expectFaults([.invalidValue], ["[1, 72], and 1 more", "p: "]) {
        _ = try scheme.encode(wrong, rows: 96, columns: 128, name: "p")
      }
    }
    // Greater than any scale can hold, or not: never a trap.
    for scale in [1e38, 1e30, 1e-30, 0x1p-130] as [Float] {
      let extreme = weights.map { min(max($0 * scale * 50, -.greatestFiniteMagnitude), .greatestFiniteMagnitude) }
      do throws(MoEError) {
        let stored = try scheme.encode(extreme, rows: 96, columns: 128)
        #expect(try scheme.decoder(of: stored).decode().allSatisfy { $0.isFinite }, "\(scheme.name) \(scale)")
      } catch {
        #expect(error.faults.map(\.code) == [.invalidValue], "\(scheme.name) \(error)")
      }
    }
  }

  @Test func sizesThatDoNotDivide() {
    let weights = Self.weights(.normal, count: 96 * 90)
    expectFault(.shapeMismatch, "in a multiple of 32") { _ = try MXFP4().encode(weights, rows: 96, columns: 90) }
    expectFault(.shapeMismatch, "a type with groups of 32 divides it") {
      _ = try PackedIntegers(bits: 4, .group(128)).encode(weights, rows: 90, columns: 96)
    }
    expectFault(.shapeMismatch, "out a multiple of 8") {
      _ = try AWQ(groupSize: 2).encode(weights, rows: 90, columns: 96)
    }
  }

  @Test func formatsThatAreOnlyRead() {
    let weights = Self.weights(.normal, count: 96 * 128)
    expectFaults([.unsupported], ["double quantised"]) {
      _ = try BitsAndBytes4(nestedBlockSize: 256).encode(weights, rows: 96, columns: 128)
    }
    expectFaults([.unsupported], ["needs activations"]) {
      var scheme = FP8(.tensor)
      scheme.activations = .tensor(.fp8, isStatic: true)
      _ = try scheme.encode(weights, rows: 96, columns: 128)
    }
  }
}
