// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Checkpoints
internal import Tensors

/// A matrix on its way into a slot: the bytes that are read for it, and the slice that becomes its projections.
public struct Transfer: Sendable {
  public let source: MatrixSource
  /// The rows of each of its projections, and the columns, that this rank keeps.
  public let rows: Range<Int>
  /// The first of the rank's rows, which is its row 0.
  let firstRow: Int
  public let columns: Range<Int>
  /// What is read and decoded of the weights: more where they are quantised, and share scales with what is not kept.
  let region: EncodedRegion
  public let reads: [Read]
  /// Whether a bias is there but another rank adds it: this one keeps zeros.
  public let omitsBias: Bool
  /// The projections that the backend keeps as codes; others are decoded.
  public let codes: [Projection: CodedForm]
  /// What the weights are quantised to while they load; nil where they stay what they are.
  public let encoding: (any QuantizationScheme)?

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
  ///   - encoding: what the slice is quantised to first.
  init(
    _ source: MatrixSource, rows: Range<Int>, columns: Range<Int>, biasRank: Bool, codes: [Projection: CodedForm],
    encoding: (any QuantizationScheme)?
  ) {
    self.source = source
    self.codes = codes
    self.encoding = encoding
    self.rows = rows
    firstRow = rows.lowerBound
    self.columns = columns
    omitsBias = source[.bias] != nil && !biasRank
    let region = EncodedRegion(encoding, rows: rows, columns: columns, of: source)
    self.region = region
    reads = source.pieces.filter { $0.role != .bias || biasRank }.map {
      let part = $0.role == .bias ? (rows, columns) : (region.rows, region.columns)
      return Read(piece: $0, runs: source.runs($0, rows: part.0, columns: part.1))
    }
  }

  /// Whether more is read than kept.
  var isWidened: Bool { region.rows != rows || region.columns != columns }

  /// Bytes read from files.
  public var bytesToRead: Int { reads.reduce(0) { $0 + $1.runs.byteCount } }

  /// The projections it gives.
  var projections: [Projection] { source.parts.map(\.projection) }

  /// Whether a backend takes the bytes as they are.
  private func isRaw(_ piece: MatrixSource.Piece) -> Bool { piece.role == .bias || isPlain }

  /// Whether weights go from the file to the backend without a decoder.
  private var isPlain: Bool { source.denseType != nil && encoding == nil }

  /// Rows that are decoded at a time.
  private var decodedRows: Int { min(rows.count, Self.decodedRowLimit) }

  /// A multiple of every backend's row alignment.
  private static let decodedRowLimit = 256

  /// Bytes of the decoded weights of some rows of a projection; none where they stay codes.
  private func decodedBytes(_ projection: Projection) -> Int {
    guard !isPlain, codes[projection] == nil else { return 0 }
    return decodedRows * columns.count * MemoryLayout<Float>.stride
  }

  /// Bytes of memory while it is under way: as it is stored, and what a backend is given of some rows, decoded or as
  /// codes (a byte each, with scales of 32 bits, and once more where they are picked from among others).
  var stagingBytes: Int {
    let stored = reads.reduce(0) { $0 + (isRaw($1.piece) ? 0 : $1.piece.byteCount) }
    let coded = projections.reduce(0) { sum, projection in
      guard let form = codes[projection] else { return sum }
      let groups = form.group.map { CodedWeights.count(columns.count, by: $0) } ?? 1
      return max(sum, 2 * decodedRows * (columns.count + 3 * groups * MemoryLayout<Float>.stride))
    }
    // What is quantised is decoded whole, and encoded.
    let encoded = encoding == nil ? 0 : 2 * region.rows.count * region.columns.count * MemoryLayout<Float>.stride
    return scratchBytes + stored + coded + encoded
  }

  /// Bytes of scratch memory that ``load(scratch:_:emit:)`` needs.
  var scratchBytes: Int {
    let raw = reads.reduce(0) { $0 + (isRaw($1.piece) ? $1.span.count.aligned : 0) }
    let zeros = omitsBias ? rows.count * MemoryLayout<Float>.stride : 0
    return raw + (projections.map(decodedBytes).max() ?? 0) + zeros
  }

  /// The same transfer in parts that fit the caches, of rows that begin at multiples of `alignment`; whole where it is
  /// decoded, or where the rows lie too close together in the file.
  func parts(alignment: Int) -> [Transfer] {
    guard isPlain, let type = source.denseType else { return [self] }
    let wanted = source.isInputMajor ? Self.runBytes : Self.partBytes / max(columns.count, 1)
    let count = max(1, wanted / (type.bitWidth / 8) / alignment) * alignment
    return stride(from: rows.lowerBound, to: rows.upperBound, by: count).map { first in
      Transfer(self, rows: first..<min(first + count, rows.upperBound))
    }
  }

  /// Bytes of a part, so that what one thread reads and packs stays in its cache.
  private static let partBytes = 512 << 10
  /// Bytes of a run where outputs are side by side.
  private static let runBytes = 8 << 10

  /// Some of the rows of another transfer.
  private init(_ whole: Transfer, rows: Range<Int>) {
    source = whole.source
    self.rows = rows
    firstRow = whole.firstRow
    columns = whole.columns
    region = EncodedRegion(nil, rows: rows, columns: columns, of: whole.source)
    omitsBias = whole.omitsBias
    codes = whole.codes
    encoding = whole.encoding
    let source = whole.source
    let columns = whole.columns
    reads = whole.reads.map { Read(piece: $0.piece, runs: source.runs($0.piece, rows: rows, columns: columns)) }
  }
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
  /// One that several workers read by.
  typealias SharedReader =
    @Sendable (
      _ piece: MatrixSource.Piece, _ run: Range<Int>, UnsafeMutableRawBufferPointer
    ) throws(MoEError) -> Void
  /// What takes rows of a projection; valid during the call.
  typealias Receiver = (ParameterSlice) throws(MoEError) -> Void

  /// Reads and decodes, and gives the rows of each projection to `emit`, in ascending order.
  ///
  /// - Parameter scratch: ``scratchBytes``.
  func load(
    scratch: UnsafeMutableRawBufferPointer, _ read: Reader, emit: Receiver
  ) throws(MoEError) {
    var used = 0
    var stored: [TensorRole: StoredTensor] = [:]
    for entry in reads {
      let piece = entry.piece
      guard !isRaw(piece) else {
        let bytes = unsafe take(entry.span.count, of: scratch, &used)
        try unsafe piece.read(entry.runs.flatMap(\.ranges), from: entry.span.lowerBound, into: bytes, read)
        try unsafe self.emit(piece, at: UnsafeRawPointer(bytes.baseAddress!), from: entry.span.lowerBound, emit)
        continue
      }
      // What isn't read stays 0: decoding a slice does not look at it.
      let bytes = try unsafe piece.bytes(entry.runs.flatMap(\.ranges), read)
      stored[piece.role] = StoredTensor(piece.tensor.elementType, Shape(piece.shape), bytes)
    }
    if omitsBias {
      let zeros = unsafe take(rows.count * MemoryLayout<Float>.stride, of: scratch, &used)
      unsafe zeros.initializeMemory(as: UInt8.self, repeating: 0)
      for projection in projections {
        let view = unsafe ParameterView(
          base: UnsafeRawPointer(zeros.baseAddress!), elementType: .f32, rows: rows.count, columns: 1, rowStride: 1,
          columnStride: 1)
        try emit(ParameterSlice(projection, .bias, firstRow: rows.lowerBound - firstRow, .dense(view)))
      }
    }
    guard !isPlain else { return }
    let whole = try source.decoder(of: stored)
    try check(stored, whole)
    let decoder = SlicedDecoder(source, columns, whole)
    let floats = unsafe take(projections.map(decodedBytes).max() ?? 0, of: scratch, &used)
    for part in source.parts {
      let decoder =
        try encoding.map { (scheme) throws(MoEError) in try decoder.encoded(part, region, by: scheme) } ?? decoder
      for first in stride(from: rows.lowerBound, to: rows.upperBound, by: Self.decodedRowLimit) {
        let some = first..<min(first + Self.decodedRowLimit, rows.upperBound)
        let content: ParameterSlice.Content =
          if let form = codes[part.projection] {
            .codes(try decoder.coded(part, some, as: form))
          } else {
            unsafe .dense(decoder.decode(part, some, into: floats))
          }
        try emit(ParameterSlice(part.projection, .weight, firstRow: first - firstRow, content))
      }
    }
  }

  /// - Throws: `invalidValue` for scales and zero points that have no meaning: nothing would be said of them later.
  private func check(_ stored: [TensorRole: StoredTensor], _ decoder: any TileDecoder) throws(MoEError) {
    let read = source.parts.map { part in
      let rows = source.storedRows(part.rows, region.rows)
      return rows.first - rows.first % rows.step..<rows.end
    }
    var faults = source.scaleFaults(in: stored, decoder, rows: read.united, columns: region.columns)
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

  /// Plain weights or a bias, whose byte `origin` of the tensor is at `base`.
  private func emit(
    _ piece: MatrixSource.Piece, at base: UnsafeRawPointer, from origin: Int, _ emit: Receiver
  ) throws(MoEError) {
    let isBias = piece.role == .bias
    let isInputMajor = piece.axes.first?.extent == .columns
    let (rowStride, columnStride) = isBias ? (1, 1) : isInputMajor ? (1, source.rows) : (source.columns, 1)
    let first = isBias ? 0 : columns.lowerBound * columnStride
    for part in source.parts {
      let stored = source.storedRows(part.rows, rows)
      let element = stored.first * rowStride + first
      let place = piece.offset - origin + element * (piece.tensor.elementType.bitWidth / 8)
      let view = unsafe ParameterView(
        base: base + place, elementType: piece.tensor.elementType, rows: stored.count,
        columns: isBias ? 1 : columns.count, rowStride: stored.step * rowStride, columnStride: columnStride)
      try emit(ParameterSlice(part.projection, piece.role, firstRow: rows.lowerBound - firstRow, .dense(view)))
    }
  }
}
