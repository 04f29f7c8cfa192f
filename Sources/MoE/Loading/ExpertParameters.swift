// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import Tensors

/// A matrix in memory, read by a backend while it stores an expert. Rows and columns are those of the logical `[out, in]`.
///
/// - Warning: valid only during the call it is passed to.
@safe
public struct ParameterView {
  public let base: UnsafeRawPointer
  public let elementType: ElementType
  public let rows: Int
  public let columns: Int
  /// Elements from one row to the next, and from one column to the next. The base need not be aligned.
  public let rowStride: Int
  public let columnStride: Int

  public init(
    base: UnsafeRawPointer, elementType: ElementType, rows: Int, columns: Int, rowStride: Int, columnStride: Int
  ) {
    unsafe self.base = base
    self.elementType = elementType
    self.rows = rows
    self.columns = columns
    self.rowStride = rowStride
    self.columnStride = columnStride
  }
}

/// Rows of one projection's weights, or of its bias, on their way into a slot.
///
/// - Warning: valid only during the call it is passed to.
public struct ParameterSlice {
  public enum Content {
    /// Numbers, in any type that can be decoded.
    case dense(ParameterView)
    /// What a backend asked for by ``Layout/codes``.
    case codes(CodedWeights)
  }

  public var projection: Projection
  /// `.weight` or `.bias`.
  public var role: TensorRole
  /// A multiple of ``Layout/rowAlignment``.
  public var firstRow: Int
  public var content: Content

  public init(_ projection: Projection, _ role: TensorRole, firstRow: Int = 0, _ content: Content) {
    self.projection = projection
    self.role = role
    self.firstRow = firstRow
    self.content = content
  }

  public var rows: Range<Int> {
    switch content {
    case .dense(let view): firstRow..<firstRow + view.rows
    case .codes(let weights): firstRow..<firstRow + weights.rows
    }
  }
}

/// The tensors of one expert, by projection and role.
///
/// - Warning: valid only during the call it is passed to.
@safe
public struct ExpertParameters {
  private var views: [Key: ParameterView] = [:]

  private struct Key: Hashable {
    var projection: Projection
    var role: TensorRole
  }

  /// The weights of projections that the backend keeps as codes.
  public var codes: [Projection: CodedWeights] = [:]

  public init() {}

  /// What there is for a projection and role.
  func slice(_ projection: Projection, _ role: TensorRole) -> ParameterSlice? {
    if role == .weight, let weights = codes[projection] { return ParameterSlice(projection, role, .codes(weights)) }
    return self[projection, role].map { ParameterSlice(projection, role, .dense($0)) }
  }

  public subscript(projection: Projection, role: TensorRole) -> ParameterView? {
    get { views[Key(projection: projection, role: role)] }
    set { views[Key(projection: projection, role: role)] = newValue }
  }
}

extension ParameterView {
  /// All elements as 32-bit floats, row by row.
  package func decoded() throws(MoEError) -> [Float] {
    guard elementType.isDecodable else {
      throw MoEError(.unsupportedByBackend, "elements of type \(elementType) can't be decoded")
    }
    let width = elementType.bitWidth / 8
    return unsafe [Float](unsafeUninitializedCapacity: rows * columns) { values, initialized in
      for row in 0..<rows {
        unsafe elementType.decode(
          base + row * rowStride * width, count: columns, stride: columnStride,
          into: values.baseAddress! + row * columns)
      }
      initialized = rows * columns
    }
  }
}
