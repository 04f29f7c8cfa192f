// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Tensors

/// The decoder of a stored matrix, asked for rows of its projections and the columns of a slice.
struct SlicedDecoder {
  private let source: MatrixSource
  /// Those of the slice.
  private let columns: Range<Int>
  private let decoder: any TileDecoder
  /// Columns that codes can be taken apart at.
  private let step: Int
  /// What of a projection the decoder's matrix is, where that was quantised; nil where it is the stored one.
  private let region: EncodedRegion?

  init(_ source: MatrixSource, _ columns: Range<Int>, _ decoder: any TileDecoder) {
    self.source = source
    self.columns = columns
    self.decoder = decoder
    step = source.codedColumns
    region = nil
  }

  private init(_ slice: Self, _ region: EncodedRegion, encoded decoder: any TileDecoder) {
    source = slice.source
    let first = region.columns.lowerBound
    columns = slice.columns.lowerBound - first..<slice.columns.upperBound - first
    self.decoder = decoder
    step = decoder.columns
    self.region = region
  }

  /// A part of a projection, quantised and read again.
  ///
  /// - Throws: what the scheme has against its sizes or values.
  func encoded(
    _ part: MatrixSource.Part, _ region: EncodedRegion, by scheme: any QuantizationScheme
  ) throws(MoEError) -> Self {
    let (rows, columns) = (region.rows, region.columns)
    var values = [Float](repeating: 0, count: rows.count * columns.count)
    let whole = Self(source, columns, decoder)
    unsafe values.withUnsafeMutableBytes { _ = unsafe whole.decode(part, rows, into: $0) }
    let stored = try scheme.encode(values, rows: rows.count, columns: columns.count, name: source.stem)
    return Self(self, region, encoded: try scheme.decoder(of: stored))
  }

  /// Where rows of a projection are in the matrix of the decoder.
  private func stored(_ part: MatrixSource.Part, _ rows: Range<Int>) -> StridedRows {
    guard let region else { return source.storedRows(part.rows, rows) }
    return StridedRows(first: rows.lowerBound - region.rows.lowerBound, step: 1, count: rows.count)
  }

  /// Rows in 32-bit floats, written to the start of `bytes`.
  func decode(
    _ part: MatrixSource.Part, _ rows: Range<Int>, into bytes: UnsafeMutableRawBufferPointer
  ) -> ParameterView {
    let floats = unsafe bytes.bindMemory(to: Float.self)
    let stored = stored(part, rows)
    for index in 0..<stored.count {
      let row = stored.first + index * stored.step
      var span = unsafe UnsafeMutableBufferPointer(
        rebasing: floats[index * columns.count..<(index + 1) * columns.count]
      ).mutableSpan
      decoder.decode(rows: row..<row + 1, columns: columns, into: &span)
    }
    return unsafe ParameterView(
      base: UnsafeRawPointer(floats.baseAddress!), elementType: .f32, rows: rows.count, columns: columns.count,
      rowStride: columns.count, columnStride: 1)
  }

  /// Rows as codes, in the groups of the form.
  func coded(_ part: MatrixSource.Part, _ rows: Range<Int>, as form: CodedForm) throws(MoEError) -> CodedWeights {
    let stored = stored(part, rows)
    let whole =
      columns.lowerBound / step * step..<min((columns.upperBound + step - 1) / step * step, decoder.columns)
    let first = stored.first - stored.first % stored.step
    guard let weights = decoder.coded(rows: first..<stored.end, columns: whole) else {
      throw MoEError(
        .invalidValue, "the groups of columns are not in order, though the configuration says so", subject: source.stem,
        expected: "columns in the order of their groups", found: "another group index",
        remedy: "declare act-order in the configuration (desc_act)")
    }
    return weights.rows(from: stored.first - first, step: stored.step).columns(
      columns.lowerBound - whole.lowerBound..<columns.upperBound - whole.lowerBound,
      group: form.group ?? columns.count, factorGroup: form.factor.map { $0.group ?? columns.count })
  }
}
