// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Checkpoints
internal import Tensors

/// A matrix on its way into a slot: the bytes that are read for it, and the slice that becomes its projections.
public struct Transfer: Sendable {
  public let source: MatrixSource
  /// The rows of each of its projections, and the columns, that this rank keeps.
  public let rows: Range<Int>
  public let columns: Range<Int>
  public let reads: [Read]
  /// Whether a bias is there but another rank adds it: this one keeps zeros.
  public let omitsBias: Bool
  /// The projections that the backend keeps as codes; others are decoded.
  public let codes: [Projection: CodedForm]

  /// The bytes of one tensor.
  public struct Read: Sendable, Hashable {
    public let piece: MatrixSource.Piece
    public let runs: [ByteRuns]

    /// From the first byte to the last, which is what it takes in memory; in bytes of the tensor.
    var span: Range<Int> {
      let spans = runs.map(\.span)
      let start = spans.map(\.lowerBound).min() ?? 0
      return start..<(spans.map(\.upperBound).max() ?? start)
    }
  }

  /// - Parameters:
  ///   - biasRank: whether this rank adds a bias that only one of the ranks that share an expert adds.
  ///   - codes: what the backend keeps as codes.
  init(
    _ source: MatrixSource, rows: Range<Int>, columns: Range<Int>, biasRank: Bool, codes: [Projection: CodedForm]
  ) {
    self.source = source
    self.codes = codes
    self.rows = rows
    self.columns = columns
    omitsBias = source[.bias] != nil && !biasRank
    reads = source.pieces.filter { $0.role != .bias || biasRank }.map {
      Read(piece: $0, runs: source.runs($0, rows: rows, columns: columns))
    }
  }

  /// Bytes read from files.
  public var bytesToRead: Int { reads.reduce(0) { $0 + $1.runs.byteCount } }

  /// The projections it gives.
  var projections: [Projection] { source.parts.map(\.projection) }

  /// Bytes of a projection's weights on their way: as they are stored, decoded, or as codes (a byte each, with scales of
  /// 32 bits, and once more where rows or columns are picked from among others).
  private func stagedBytes(_ projection: Projection) -> Int {
    guard source.denseType == nil else { return 0 }
    let count = rows.count * columns.count
    guard let form = codes[projection] else { return count * MemoryLayout<Float>.stride }
    let groups = form.group.map { CodedWeights.count(columns.count, by: $0) } ?? 1
    return 2 * (count + 3 * rows.count * groups * MemoryLayout<Float>.stride)
  }

  /// Bytes of scratch memory while it is under way.
  var stagingBytes: Int { scratchBytes + arrayBytes }

  /// Bytes that are staged in arrays: what is decoded, and codes.
  private var arrayBytes: Int {
    reads.reduce(0) { $0 + (isRaw($1.piece) ? 0 : $1.piece.byteCount) }
      + projections.reduce(0) { $0 + (codes[$1] == nil ? 0 : stagedBytes($1)) }
  }

  /// Bytes that ``load(into:scratch:used:_:)`` takes.
  var scratchBytes: Int {
    let staged = reads.reduce(0) { $0 + (isRaw($1.piece) ? $1.span.count.aligned : 0) }
    let zeros = omitsBias ? rows.count * MemoryLayout<Float>.stride : 0
    return projections.reduce(staged) { $0 + (codes[$1] == nil ? stagedBytes($1).aligned : 0) + zeros.aligned }
  }

  /// Whether a backend takes the bytes as they are.
  private func isRaw(_ piece: MatrixSource.Piece) -> Bool { piece.role == .bias || source.denseType != nil }
}

extension Int {
  /// Rounded up to a cache line.
  fileprivate var aligned: Int { (self + 63) / 64 * 64 }
}

// MARK: - Under way

extension Transfer {
  /// Where the bytes of a tensor come from: a file, or memory.
  typealias Reader = (_ piece: MatrixSource.Piece, _ run: Range<Int>, UnsafeMutableRawBufferPointer) throws(MoEError) ->
    Void

  /// Reads, decodes and enters the projections into `parameters`, as views into `scratch`.
  ///
  /// - Parameter scratch: ``scratchBytes`` behind the first `used`, which are taken.
  func load(
    into parameters: inout ExpertParameters, scratch: UnsafeMutableRawBufferPointer, used: inout Int, _ read: Reader
  ) throws(MoEError) {
    var stored: [TensorRole: StoredTensor] = [:]
    for entry in reads {
      let piece = entry.piece
      guard !isRaw(piece) else {
        let bytes = unsafe take(entry.span.count, of: scratch, &used)
        try unsafe self.read(entry, from: entry.span.lowerBound, into: bytes, read)
        unsafe enter(piece, at: UnsafeRawPointer(bytes.baseAddress!), from: entry.span.lowerBound, into: &parameters)
        continue
      }
      // What isn't read stays 0: decoding a slice does not look at it.
      var bytes = [UInt8](repeating: 0, count: piece.byteCount)
      let failure = unsafe bytes.withUnsafeMutableBytes { target -> MoEError? in
        do throws(MoEError) {
          try unsafe self.read(entry, from: piece.offset, into: target, read)
          return nil
        } catch {
          return error
        }
      }
      if let failure { throw failure }
      stored[piece.role] = StoredTensor(piece.tensor.elementType, Shape(piece.shape), bytes)
    }
    if source.denseType == nil {
      let projection = StoredProjection(source.stem, rows: source.rows, columns: source.columns, stored)
      let decoder = try source.scheme.decoder(of: projection)
      try check(projection, decoder)
      for part in source.parts {
        if let form = codes[part.projection] {
          parameters.codes[part.projection] = try coded(part, as: form, by: decoder)
          continue
        }
        let bytes = unsafe take(stagedBytes(part.projection), of: scratch, &used)
        parameters[part.projection, .weight] = unsafe decode(part, by: decoder, into: bytes)
      }
    }
    if omitsBias {
      for part in source.parts {
        let zeros = unsafe take(rows.count * MemoryLayout<Float>.stride, of: scratch, &used)
        unsafe zeros.initializeMemory(as: UInt8.self, repeating: 0)
        parameters[part.projection, .bias] = unsafe ParameterView(
          base: UnsafeRawPointer(zeros.baseAddress!), elementType: .f32, rows: rows.count, columns: 1, rowStride: 1,
          columnStride: 1)
      }
    }
  }

  /// - Throws: `invalidValue` for scales and zero points that have no meaning: nothing would be said of them later.
  private func check(_ stored: StoredProjection, _ decoder: any TileDecoder) throws(MoEError) {
    let read = source.parts.map { part in
      let rows = source.storedRows(part.rows, rows)
      return rows.first - rows.first % rows.step..<rows.end
    }
    var faults = source.scaleFaults(in: stored, decoder, rows: read.united, columns: columns)
    guard !faults.isEmpty else { return }
    for index in faults.indices { faults[index].message += " (expert \(source.expert.rawValue))" }
    throw MoEError(faults)
  }

  private func take(
    _ count: Int, of scratch: UnsafeMutableRawBufferPointer, _ used: inout Int
  ) -> UnsafeMutableRawBufferPointer {
    defer { used += count.aligned }
    return unsafe UnsafeMutableRawBufferPointer(rebasing: scratch[used..<used + count])
  }

  private func read(
    _ entry: Read, from origin: Int, into bytes: UnsafeMutableRawBufferPointer, _ read: Reader
  ) throws(MoEError) {
    for runs in entry.runs {
      for range in runs.ranges {
        let target = unsafe UnsafeMutableRawBufferPointer(
          rebasing: bytes[range.lowerBound - origin..<range.upperBound - origin])
        try unsafe read(entry.piece, range, target)
      }
    }
  }

  /// Views of plain weights or of a bias, whose byte `origin` of the tensor is at `base`.
  private func enter(
    _ piece: MatrixSource.Piece, at base: UnsafeRawPointer, from origin: Int, into parameters: inout ExpertParameters
  ) {
    let isBias = piece.role == .bias
    let isInputMajor = piece.axes.first?.extent == .columns
    let (rowStride, columnStride) = isBias ? (1, 1) : isInputMajor ? (1, source.rows) : (source.columns, 1)
    let first = isBias ? 0 : columns.lowerBound * columnStride
    for part in source.parts {
      let rows = source.storedRows(part.rows, rows)
      let element = rows.first * rowStride + first
      let place = piece.offset - origin + element * (piece.tensor.elementType.bitWidth / 8)
      parameters[part.projection, piece.role] = unsafe ParameterView(
        base: base + place, elementType: piece.tensor.elementType, rows: rows.count,
        columns: isBias ? 1 : columns.count, rowStride: rows.step * rowStride, columnStride: columnStride)
    }
  }

  private func decode(
    _ part: MatrixSource.Part, by decoder: any TileDecoder, into bytes: UnsafeMutableRawBufferPointer
  ) -> ParameterView {
    let floats = unsafe bytes.bindMemory(to: Float.self)
    let stored = source.storedRows(part.rows, rows)
    if stored.step == 1 {
      var span = unsafe floats.mutableSpan
      decoder.decode(rows: stored.first..<stored.first + stored.count, columns: columns, into: &span)
    } else {
      for index in 0..<stored.count {
        let row = stored.first + index * stored.step
        var span = unsafe UnsafeMutableBufferPointer(
          rebasing: floats[index * columns.count..<(index + 1) * columns.count]
        ).mutableSpan
        decoder.decode(rows: row..<row + 1, columns: columns, into: &span)
      }
    }
    return unsafe ParameterView(
      base: UnsafeRawPointer(floats.baseAddress!), elementType: .f32, rows: rows.count, columns: columns.count,
      rowStride: columns.count, columnStride: 1)
  }

  /// The slice as codes, in the groups of the form.
  private func coded(
    _ part: MatrixSource.Part, as form: CodedForm, by decoder: any TileDecoder
  ) throws(MoEError) -> CodedWeights {
    let stored = source.storedRows(part.rows, rows)
    let step = source.codedColumns
    let whole = columns.lowerBound / step * step..<min((columns.upperBound + step - 1) / step * step, source.columns)
    let first = stored.first - stored.first % stored.step
    guard let weights = decoder.coded(rows: first..<stored.end, columns: whole) else {
      throw MoEError(
        .invalidValue, "the groups of columns are not in order, though the configuration says so", subject: source.stem,
        expected: "columns in the order of their groups", found: "another group index",
        remedy: "declare act-order in the configuration (desc_act)")
    }
    return weights.rows(from: stored.first % stored.step, step: stored.step).columns(
      columns.lowerBound - whole.lowerBound..<columns.upperBound - whole.lowerBound,
      group: form.group ?? columns.count, factorGroup: form.factor.map { $0.group ?? columns.count })
  }
}
