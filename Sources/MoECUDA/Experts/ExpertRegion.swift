// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import CAccelerators
internal import MoE
internal import Tensors

/// Where the matrices of an expert lie in its region: known from sizes alone, the same for every expert of a layer.
///
/// The weights of gate, up and down come first, row after row, then scales, tables and biases.
struct ExpertRegion: Sendable {
  private(set) var gate = moe_matrix()
  private(set) var up = moe_matrix()
  private(set) var down = moe_matrix()
  private(set) var byteCount = 0

  /// Arrays begin at multiples of this, and so do the rows of weights: what the widest load reads.
  private static let alignment = 16
  /// Regions begin at multiples of this.
  private static let regionAlignment = 256

  init(_ specification: LayerSpecification) {
    for projection in specification.projections {
      let size = specification.size(of: projection)
      var matrix = moe_matrix()
      matrix.rows = Int32(size.rows)
      matrix.columns = Int32(size.columns)
      matrix.has_bias = specification.hasBias ? 1 : 0
      if let form = specification.codes[projection] {
        matrix.set(form)
        matrix.row_bytes = Int64(((size.columns + 7) / 8 * form.bits).aligned(to: Self.alignment))
      } else {
        let type = specification.elementType
        matrix.number = Int32(type == .bf16 ? MOE_BF16 : type == .f16 ? MOE_F16 : MOE_F32)
        matrix.row_bytes = Int64((size.columns * type.bitWidth / 8).aligned(to: Self.alignment))
      }
      matrix.weights = take(Int(matrix.row_bytes) * size.rows)
      self[projection] = matrix
    }
    for projection in specification.projections {
      for part in MatrixPart.allCases where part != .weights {
        let count = part.byteCount(in: self[projection])
        if count > 0 { self[projection][keyPath: part.offset] = take(count) }
      }
    }
    byteCount = byteCount.aligned(to: Self.regionAlignment)
  }

  private mutating func take(_ count: Int) -> Int64 {
    defer { byteCount = (byteCount + count).aligned(to: Self.alignment) }
    return Int64(byteCount)
  }

  subscript(projection: Projection) -> moe_matrix {
    get {
      switch projection {
      case .gate: gate
      case .up: up
      case .down: down
      }
    }
    set {
      switch projection {
      case .gate: gate = newValue
      case .up: up = newValue
      case .down: down = newValue
      }
    }
  }
}

/// The arrays that a matrix consists of.
enum MatrixPart: CaseIterable {
  case weights, scales, corrections, factors, minimumFactors, table, bias

  var offset: WritableKeyPath<moe_matrix, Int64> {
    switch self {
    case .weights: \.weights
    case .scales: \.scales
    case .corrections: \.corrections
    case .factors: \.factors
    case .minimumFactors: \.minimum_factors
    case .table: \.table
    case .bias: \.bias
    }
  }

  /// Bytes of one row; 0 where there is no such array.
  func rowBytes(in matrix: moe_matrix) -> Int {
    let isCoded = matrix.bits > 0
    let hasFactors = matrix.super_group > 0
    switch self {
    case .weights: return Int(matrix.row_bytes)
    case .scales: return isCoded ? Int(matrix.groups) * CodedForm.Number.bytes(matrix.scale) : 0
    case .corrections:
      return matrix.correction == MOE_NOTHING
        ? 0 : Int(matrix.groups) * CodedForm.Number.bytes(matrix.correction_number)
    case .factors: return hasFactors ? Int(matrix.super_groups) * CodedForm.Number.bytes(matrix.factor) : 0
    case .minimumFactors:
      return hasFactors && matrix.correction == MOE_MINIMUM
        ? Int(matrix.super_groups) * CodedForm.Number.bytes(matrix.factor) : 0
    case .table: return 0
    case .bias: return matrix.has_bias == 0 ? 0 : MemoryLayout<Float>.stride
    }
  }

  /// Bytes of the array.
  func byteCount(in matrix: moe_matrix) -> Int {
    guard self == .table else { return rowBytes(in: matrix) * Int(matrix.rows) }
    return matrix.bits == 0 ? 0 : MemoryLayout<Float>.stride << Int(matrix.bits)
  }
}

extension moe_matrix {
  /// The groups of a form; `columns` are set.
  fileprivate mutating func set(_ form: CodedForm) {
    bits = Int32(form.bits)
    group = Int32(form.group ?? Int(columns))
    groups = (columns + group - 1) / group
    scale = form.scale.device
    switch form.correction {
    case .none: correction = Int32(MOE_NOTHING)
    case .zero(let number): (correction, correction_number) = (Int32(MOE_ZERO), number.device)
    case .minimum(let number): (correction, correction_number) = (Int32(MOE_MINIMUM), number.device)
    }
    if let upper = form.factor {
      factor = upper.number.device
      super_group = Int32(upper.group ?? Int(columns))
      super_groups = (columns + super_group - 1) / super_group
    }
  }
}

extension CodedForm.Number {
  /// The kernels' name of it.
  var device: Int32 {
    switch self {
    case .f32: Int32(MOE_F32)
    case .f16: Int32(MOE_F16)
    case .bf16: Int32(MOE_BF16)
    case .e8m0: Int32(MOE_E8M0)
    case .e4m3: Int32(MOE_E4M3)
    case .u8: Int32(MOE_U8)
    case .i8: Int32(MOE_I8)
    }
  }

  fileprivate static func bytes(_ number: Int32) -> Int {
    switch Int(number) {
    case MOE_F32: 4
    case MOE_F16, MOE_BF16: 2
    default: 1
    }
  }
}

extension Int {
  func aligned(to alignment: Int) -> Int { (self + alignment - 1) / alignment * alignment }
}
