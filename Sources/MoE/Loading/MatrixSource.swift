// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import Checkpoints
internal import Tensors

/// A matrix of one expert as a checkpoint stores it: its tensors, and the scheme that says what their bytes mean.
///
/// It holds one projection, or gate and up together where they share a tensor.
public struct MatrixSource: Sendable {
  public var expert: LogicalExpert
  public var scheme: any QuantizationScheme
  /// What the tensors' names begin with.
  public var stem: String
  /// The stored `[out, in]`, gate and up together where they share a tensor.
  public var rows: Int
  public var columns: Int
  /// The projections in it, and their rows.
  public var parts: [Part]
  public var pieces: [Piece]

  public struct Part: Sendable, Hashable {
    public var projection: Projection
    public var rows: ProjectionLayout.Part
  }

  /// One tensor of the matrix, or one expert's share of a tensor.
  public struct Piece: Sendable, Hashable {
    public var role: TensorRole
    public var tensor: TensorRecord
    /// Without the axis of experts.
    public var shape: [Int]
    /// What of the matrix each axis runs over.
    public var axes: [StoredAxis]
    /// The expert's first byte in the tensor.
    public var offset: Int
    public var byteCount: Int
    /// Whether all experts of the tensor have it in common.
    public var isShared = false
  }

  /// Bytes of all its tensors.
  public var byteCount: Int { pieces.reduce(0) { $0 + $1.byteCount } }

  public subscript(role: TensorRole) -> Piece? { pieces.first { $0.role == role } }

  /// The type of weights that need no decoding; nil for codes.
  var denseType: ElementType? { (scheme as? Unquantized)?.elementType.resident }
}

extension MatrixSource {
  /// How the weights may be kept as codes; nil where they are dense, or can't.
  var codedForm: CodedForm? {
    let stored = pieces.filter { $0.byteCount > 0 }.map { ($0.role, $0.tensor.elementType) }
    return scheme.codedForm(columns: columns, stored: Dictionary(uniqueKeysWithValues: stored))
  }

  /// The form of a part of a matrix that has this one: rows that share scales count from the part's first.
  func form(_ form: CodedForm, of part: Part) -> CodedForm {
    switch part.rows {
    case .whole: form
    case .half: form.cut(atRows: [rows / 2])
    case .alternate: form.cut(atRows: [1])
    }
  }

  /// Columns that codes can be taken apart at: multiples of every step of the stored tensors.
  var codedColumns: Int {
    var columns = 1
    for axis in pieces.flatMap(\.axes) where axis.extent == .columns && axis.step <= self.columns {
      columns = leastCommonMultiple(columns, axis.step)
    }
    // Groups of the matrix laid out flat begin anew in each row.
    return leastCommonMultiple(columns, codedForm?.group ?? 1)
  }
}

extension ElementType {
  /// Itself where backends keep weights in this type.
  fileprivate var resident: Self? { [.bf16, .f16, .f32].contains(self) ? self : nil }
}

// MARK: - Building

extension MatrixSource {
  /// Adds a tensor that holds so many experts.
  mutating func add(_ role: TensorRole, _ tensor: TensorRecord, _ axes: [StoredAxis], of experts: Int) {
    var shape = tensor.shape.dimensions
    let isShared = experts > 1 && shape.count == axes.count && tensor.shape.elementCount == 1
    let experts = isShared ? 1 : experts
    if shape.count > axes.count {
      shape.removeFirst()
    } else if experts > 1 {
      shape[0] /= experts
    }
    pieces.append(
      Piece(
        role: role, tensor: tensor, shape: shape, axes: axes, offset: 0, byteCount: tensor.byteCount / experts,
        isShared: isShared))
  }

  /// From the first expert of a tensor to another one.
  mutating func move(to index: Int) {
    expert = LogicalExpert(rawValue: index)
    for piece in pieces.indices where !pieces[piece].isShared {
      pieces[piece].offset = index * pieces[piece].byteCount
    }
  }
}

// MARK: - Slices

extension MatrixSource {
  /// The stored rows of some rows of a projection.
  func storedRows(_ part: ProjectionLayout.Part, _ rows: Range<Int>) -> StridedRows {
    switch part {
    case .whole: StridedRows(first: rows.lowerBound, step: 1, count: rows.count)
    case .half(let index):
      StridedRows(first: index * (self.rows / 2) + rows.lowerBound, step: 1, count: rows.count)
    case .alternate(let index): StridedRows(first: 2 * rows.lowerBound + index, step: 2, count: rows.count)
    }
  }

  /// The bytes of a piece that a slice of every part needs.
  func runs(_ piece: Piece, rows: Range<Int>, columns: Range<Int>) -> [ByteRuns] {
    let rows = parts.flatMap { part -> [Range<Int>] in
      let stored = storedRows(part.rows, rows)
      // The rows between those of one part are the other part's, which is read as well.
      return [stored.first - stored.first % stored.step..<stored.end]
    }.united
    if piece.axes.contains(where: { $0.extent == .elements }) {
      return flatRuns(piece, rows: rows, columns: columns)
    }
    let width = piece.tensor.elementType.bitWidth / 8
    let isIndexed = piece.role != .weight && self[.groupIndex].map { $0.byteCount > 0 } ?? false
    let box = zip(piece.axes, piece.shape).map { axis, extent -> [Range<Int>] in
      switch axis.extent {
      case .rows: rows.map { axis.entries(of: $0, limit: extent) }.united
      // A group index may send a column to any group.
      case .columns where !(isIndexed && axis.step > 1): [axis.entries(of: columns, limit: extent)]
      default: [0..<extent]
      }
    }
    return .box(box, of: piece.shape, width: width, offset: piece.offset)
  }

  /// The bytes of a piece over the matrix laid out flat.
  private func flatRuns(_ piece: Piece, rows: [Range<Int>], columns: Range<Int>) -> [ByteRuns] {
    let axis = piece.axes[0]
    let width = piece.tensor.elementType.bitWidth / 8
    let whole = columns == 0..<self.columns
    let elements = rows.flatMap { rows -> [Range<Int>] in
      if whole { return [rows.lowerBound * self.columns..<rows.upperBound * self.columns] }
      return rows.map { $0 * self.columns + columns.lowerBound..<$0 * self.columns + columns.upperBound }
    }
    return elements.map { axis.entries(of: $0, limit: piece.shape[0]) }.united.map {
      ByteRuns(offset: piece.offset + $0.lowerBound * width, length: $0.count * width)
    }
  }
}

/// Every `step`-th row of a matrix.
struct StridedRows: Sendable, Hashable {
  var first: Int
  var step: Int
  var count: Int

  /// Behind the last row of the last step.
  var end: Int { first - first % step + count * step }

  func contains(_ row: Int) -> Bool {
    row >= first && (row - first) % step == 0 && (row - first) / step < count
  }
}
