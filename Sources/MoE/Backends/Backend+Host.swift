// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Tensors

extension Backend {
  public var arithmetic: String { name }

  /// Both halves, with a row for each slot between them.
  public func forward(
    _ storage: Storage, hidden: Buffer, ids: Buffer, weights: Buffer, tokenCount: Int, topK: Int, into output: Buffer,
    on queue: Queue
  ) throws(MoEError) {
    try validateBatch(tokenCount, topK)
    let indices = try makeBuffer((0..<tokenCount * topK).map { Int32($0) }, on: queue)
    let rows = try makeBuffer(byteCount: max(tokenCount * topK, 1) * rowBytes(of: storage))
    try forwardRows(
      storage, hidden: hidden, ids: ids, weights: weights, indices: indices, tokenCount: tokenCount, topK: topK,
      into: rows, on: queue)
    try combine(
      storage, rows: rows, ids: ids, weights: weights, indices: indices, tokenCount: tokenCount, topK: topK,
      into: output, on: queue)
  }

  /// Memory for another number of experts of a layout.
  public func allocate(_ layout: Layout, expertCount: Int) throws(MoEError) -> Storage {
    var specification = layout.specification
    specification.expertCount = expertCount
    return try allocate(self.layout(of: specification))
  }

  /// Bytes of one row of ``rowType``.
  public func rowBytes(of storage: Storage) -> Int {
    specification(of: storage).hiddenSize * rowType.bitWidth / 8
  }

  /// Puts a whole expert into a slot.
  ///
  /// - Throws: `missingTensor` for every projection and role that is not there, and what storing throws.
  public func store(
    _ parameters: ExpertParameters, slot: LocalExpert, in storage: Storage
  ) throws(MoEError) {
    let specification = specification(of: storage)
    try begin(slot, in: storage)
    for projection in specification.projections {
      for role in specification.roles {
        if let slice = parameters.slice(projection, role) { try store(slice, slot: slot, in: storage) }
      }
    }
    try finish(slot, in: storage)
  }

  public func inputScales(of storage: Storage) -> InputScales? { nil }

  public func setInputScales(_ scales: InputScales, in storage: Storage) throws(MoEError) {
    throw MoEError(.unsupportedByBackend, "the \(name) backend has no static scales of activations")
  }

  public func route(
    _ router: any Router, logits: Buffer, tokenCount: Int, tokenIDs: [Int32]?, isPadding: [Bool]?,
    ids: Buffer, weights: Buffer, on queue: Queue
  ) throws(MoEError) {
    try routeOnHost(
      router, logits: logits, tokenCount: tokenCount, tokenIDs: tokenIDs, isPadding: isPadding, ids: ids,
      weights: weights, on: queue)
  }

  /// What ``route(_:logits:tokenCount:tokenIDs:isPadding:ids:weights:on:)`` does for routers that a backend doesn't know.
  public func routeOnHost(
    _ router: any Router, logits: Buffer, tokenCount: Int, tokenIDs: [Int32]?, isPadding: [Bool]?,
    ids: Buffer, weights: Buffer, on queue: Queue
  ) throws(MoEError) {
    let logits = try download(logits, count: tokenCount * router.expertCount, as: Float.self, on: queue)
    let routing = try router.route(
      RouterInput(logits: logits, tokenCount: tokenCount, tokenIDs: tokenIDs, isPadding: isPadding))
    try upload(routing.ids, to: ids, on: queue)
    try upload(routing.weights, to: weights, on: queue)
  }

  /// Runs the experts on host arrays.
  ///
  /// - Parameters:
  ///   - storage: the experts.
  ///   - hidden: `[tokens, H]`.
  ///   - routing: ids are slots of `storage`, −1 is skipped.
  /// - Returns: `[tokens, H]`.
  /// - Throws: `invalidArgument` when lengths or ids do not fit.
  public func forward(_ storage: Storage, hidden: [Float], routing: Routing) throws(MoEError) -> [Float] {
    let specification = specification(of: storage)
    try validateRows(hidden, width: specification.hiddenSize, tokenCount: routing.tokenCount, name: "hidden states")
    try routing.validate(idCount: specification.expertCount)
    guard routing.tokenCount > 0 else { return [] }
    let queue = try makeQueue()
    let input = try makeBuffer(hidden, on: queue)
    let ids = try makeBuffer(routing.ids, on: queue)
    let weights = try makeBuffer(routing.weights, on: queue)
    let output = try makeBuffer(byteCount: hidden.count * MemoryLayout<Float>.stride)
    try forward(
      storage, hidden: input, ids: ids, weights: weights, tokenCount: routing.tokenCount, topK: routing.topK,
      into: output, on: queue)
    return try download(output, count: hidden.count, as: Float.self, on: queue)
  }

  /// Applies a matrix to host rows `[tokens, columns]`; returns `[tokens, rows]`.
  public func apply(_ linear: Linear, to input: [Float], tokenCount: Int) throws(MoEError) -> [Float] {
    try validateBatch(tokenCount)
    guard tokenCount > 0 else { return [] }
    let queue = try makeQueue()
    let count = tokenCount * rowCount(of: linear)
    let source = try makeBuffer(input, on: queue)
    let output = try makeBuffer(byteCount: count * MemoryLayout<Float>.stride)
    try apply(linear, to: source, tokenCount: tokenCount, into: output, on: queue)
    return try download(output, count: count, as: Float.self, on: queue)
  }

  /// A buffer holding the values of an array.
  public func makeBuffer<Element: BitwiseCopyable>(_ values: [Element], on queue: Queue) throws(MoEError) -> Buffer {
    let buffer = try makeBuffer(byteCount: max(values.count, 1) * MemoryLayout<Element>.stride)
    try upload(values, to: buffer, on: queue)
    return buffer
  }

  /// Copies an array to the start of a buffer.
  public func upload<Element: BitwiseCopyable>(
    _ values: [Element], to buffer: Buffer, on queue: Queue
  ) throws(MoEError) {
    try unsafe values.span.bytes.withUnsafeBytes { (bytes) throws(MoEError) in
      try unsafe upload(bytes, to: buffer, on: queue)
    }
  }

  /// The first `count` values of a buffer.
  public func download<Element: BitwiseCopyable>(
    _ buffer: Buffer, count: Int, as type: Element.Type, on queue: Queue
  ) throws(MoEError) -> [Element] {
    var failure: MoEError?
    let values = unsafe [Element](unsafeUninitializedCapacity: count) { target, initialized in
      do throws(MoEError) {
        try unsafe download(buffer, to: UnsafeMutableRawBufferPointer(target), on: queue)
        initialized = count
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
    return values
  }
}
