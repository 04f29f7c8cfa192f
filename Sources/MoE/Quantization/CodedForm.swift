// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Tensors

/// How a backend keeps the weights of a projection as codes: the types and groups of ``CodedWeights``, known from headers.
public struct CodedForm: Sendable, Hashable {
  /// The type of a scale, a correction or a factor.
  public enum Number: String, Sendable, Hashable, CaseIterable {
    case f32, f16, bf16, e8m0, e4m3, u8, i8

    var bits: Int {
      switch self {
      case .f32: 32
      case .f16, .bf16: 16
      case .e8m0, .e4m3, .u8, .i8: 8
      }
    }

    /// The type that holds the scales of a stored tensor; U8 stands for e8m0.
    init?(_ elementType: ElementType) {
      switch elementType {
      case .f32: self = .f32
      case .f16: self = .f16
      case .bf16: self = .bf16
      case .u8, .f8e8m0: self = .e8m0
      case .f8e4m3: self = .e4m3
      default: return nil
      }
    }
  }

  /// What is taken away; see ``CodedWeights/Correction``.
  public enum Correction: Sendable, Hashable {
    case none
    case zero(Number)
    case minimum(Number)
  }

  /// The upper one of two levels of scales.
  public struct Factor: Sendable, Hashable {
    /// Columns that share one; nil for all.
    public var group: Int?
    public var number: Number

    public init(group: Int?, _ number: Number) {
      self.group = group
      self.number = number
    }
  }

  /// What codes stand for, where that is known before the table is: kernels with a table of their own count on it.
  public enum Code: Sendable, Hashable {
    /// Floats of 8 bits, 3 of them mantissa.
    case e4m3
    /// Floats of 4 bits, one of them mantissa.
    case e2m1
    /// Successive whole numbers.
    case integer
  }

  /// Bits of a code, 1…8.
  public var bits: Int
  /// Columns that share a scale; nil for all.
  public var group: Int?
  public var scale: Number
  public var correction: Correction
  public var factor: Factor?
  /// Whether codes stand for whole multiples of a power of two that fit a byte: of 4 bits at most any such, of more
  /// bits successive ones, or those of signed integers. Bytes of activations multiply them as integers.
  public var isIntegral: Bool
  /// nil where only the table says it.
  public var code: Code?
  /// Rows, from the first on, that have the same scales; 1 where nothing is known of that.
  public var rowGroup: Int

  public init(
    bits: Int, group: Int?, scale: Number, correction: Correction = .none, factor: Factor? = nil,
    isIntegral: Bool = false, code: Code? = nil, rowGroup: Int = 1
  ) {
    self.bits = bits
    self.group = group
    self.scale = scale
    self.correction = correction
    self.factor = factor
    self.isIntegral = isIntegral
    self.code = code
    self.rowGroup = rowGroup
  }

  /// Whether all that codes stand for are bf16, as far as that is known before the table is: kernels for bf16 multiply them
  /// without rounding.
  var areHalves: Bool { isIntegral || code != nil }

  /// Whether a table of codes is of successive whole numbers.
  static func isCounting(_ table: [Float]) -> Bool {
    table.indices.allSatisfy { table[$0] == table[0] + Float($0) } && abs(table[0]) <= 255
  }

  /// Whether a table of codes makes a form integral.
  static func isIntegral(_ table: [Float]) -> Bool {
    let half = table.count / 2
    let isSigned = table.indices.allSatisfy { table[$0] == Float($0 < half ? $0 : $0 - table.count) }
    if isCounting(table) || isSigned { return true }
    guard table.count <= 16, table.allSatisfy({ $0.isFinite }) else { return false }
    let unit = unit(of: table)
    return table.allSatisfy { (-128...127).contains($0 / unit) }
  }

  /// The greatest power of two that all values of a table are whole multiples of.
  package static func unit(of table: [Float]) -> Float {
    table.filter { $0 != 0 }.map { $0.ulp * Float($0.significandBitPattern.lowestUnit) }.min() ?? 1
  }

  /// Bits of a weight, with what its groups share.
  public func bitsPerWeight(columns: Int) -> Double {
    var shared = scale.bits
    switch correction {
    case .none: break
    case .zero(let number), .minimum(let number): shared += number.bits
    }
    var bits = Double(bits) + Double(shared) / Double(group ?? columns)
    if let factor {
      let count = if case .minimum = correction { 2 } else { 1 }
      bits += Double(count * factor.number.bits) / Double(factor.group ?? columns)
    }
    return bits
  }
}

extension CodedForm: CustomStringConvertible {
  /// For example `4-bit codes, u8 scales and u8 minima of 32, f16 factors of 256`.
  public var description: String {
    var text = "\(bits)-bit codes, \(scale.rawValue) scales"
    switch correction {
    case .none: break
    case .zero(let number): text += " and \(number.rawValue) zeros"
    case .minimum(let number): text += " and \(number.rawValue) minima"
    }
    text += group.map { " of \($0)" } ?? " of a row"
    if let factor { text += ", \(factor.number.rawValue) factors" + (factor.group.map { " of \($0)" } ?? " of a row") }
    return text
  }
}

extension UInt32 {
  /// The value of the lowest bit of a fraction of 23 bits and the 1 before it.
  fileprivate var lowestUnit: UInt32 { 1 << UInt32(truncatingIfNeeded: (self | 1 << 23).trailingZeroBitCount) }
}

// MARK: - Cuts

extension CodedForm {
  /// The form of a matrix that is cut at these columns: groups are refined until no cut crosses one. nil where groups
  /// become smaller than kernels know.
  func cut(at columns: [Int]) -> Self? {
    var form = self
    form.group = Self.refined(group, at: columns)
    form.factor?.group = Self.refined(factor?.group, at: columns)
    // Where all columns share a number there is nothing to refine.
    guard form.group.map({ $0 % 8 == 0 }) ?? true else { return nil }
    return form
  }

  /// The form of a matrix that is cut at these rows, or whose first row is one of them.
  func cut(atRows rows: [Int]) -> Self {
    var form = self
    form.rowGroup = rows.reduce(rowGroup, greatestCommonDivisor)
    return form
  }

  private static func refined(_ group: Int?, at columns: [Int]) -> Int? {
    group.map { columns.reduce($0, greatestCommonDivisor) }
  }
}
