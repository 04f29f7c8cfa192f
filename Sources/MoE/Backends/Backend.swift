// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import Tensors

/// A place where experts live and run: the reference, the CPU, a device.
///
/// Storing and running are separate. A backend first says how it will lay a layer out (``layout(of:)``, from sizes
/// alone), then allocates, then receives the experts one by one in any order. It runs on buffers and a queue of its own,
/// so that a device can keep activations on itself and capture a sequence of calls; nothing in the protocol asks for a
/// host array between the gate and the output. ``forward(_:hidden:routing:)-(_,[Float],_)`` is the convenience for
/// arrays on the host.
///
/// ```swift
/// let backend = CPUBackend()
/// let storage = try backend.allocate(backend.layout(of: specification))
/// try backend.store(parameters, slot: LocalExpert(rawValue: 0), in: storage)      // or row by row
/// let output = try backend.forward(storage, hidden: x, routing: routing)
/// ```
public protocol Backend: Sendable {
  /// The experts of one layer.
  associatedtype Storage: Sendable
  /// A dense matrix, such as the gate.
  associatedtype Linear: Sendable
  /// An array of numbers where this backend computes.
  associatedtype Buffer
  /// An order of execution.
  associatedtype Queue

  /// The name on the command line.
  var name: String { get }

  /// Names the arithmetic: two backends with the same one give the same bits. The default is the name.
  var arithmetic: String { get }

  /// How the backend would lay `specification` out.
  ///
  /// - Throws: `unsupportedByBackend` with every reason why it can't.
  func layout(of specification: LayerSpecification) throws(MoEError) -> Layout

  /// Memory for all experts of `layout`, not yet readable.
  func allocate(_ layout: Layout) throws(MoEError) -> Storage

  /// Makes ready for an expert. Until ``finish(_:in:)`` the slot can't be read.
  func begin(_ slot: LocalExpert, in storage: Storage) throws(MoEError)

  /// Puts rows of an expert into a slot, converting to the layout. Slices and slots may be stored from several threads at
  /// once.
  ///
  /// - Throws: `shapeMismatch` for rows that the layer has not, `duplicateParameter` for rows that were stored before, and
  ///   what the layout can't hold.
  func store(_ slice: ParameterSlice, slot: LocalExpert, in storage: Storage) throws(MoEError)

  /// Makes a slot readable.
  ///
  /// - Throws: `missingTensor`, listing every row of every projection that was not stored.
  func finish(_ slot: LocalExpert, in storage: Storage) throws(MoEError)

  /// Sets the static scales of activations, one for all experts of the layer on all ranks.
  ///
  /// Called where ``Layout/activations`` need some; the default refuses.
  func setInputScales(_ scales: InputScales, in storage: Storage) throws(MoEError)

  /// What ``setInputScales(_:in:)`` has set; the default is nothing.
  func inputScales(of storage: Storage) -> InputScales?

  /// Gives the contiguous region of a slot, in host memory.
  func withBytes<Value>(
    of slot: LocalExpert, in storage: Storage, _ body: (UnsafeRawBufferPointer) throws(MoEError) -> Value
  ) throws(MoEError) -> Value

  /// Overwrites the region of a slot by bytes of the same ``Layout/identity``.
  func replace(_ slot: LocalExpert, in storage: Storage, with bytes: UnsafeRawBufferPointer) throws(MoEError)

  /// A matrix `[rows, columns]` (`out`, `in`), with a bias `[rows]` or none.
  func makeLinear(weights: [Float], rows: Int, columns: Int, bias: [Float]?) throws(MoEError) -> Linear

  func makeQueue() throws(MoEError) -> Queue

  /// An uninitialised buffer.
  func makeBuffer(byteCount: Int) throws(MoEError) -> Buffer

  /// Copies host memory to a buffer, in the order of `queue`.
  func upload(_ bytes: UnsafeRawBufferPointer, to buffer: Buffer, on queue: Queue) throws(MoEError)

  /// Copies a buffer to host memory and waits until it is there.
  func download(_ buffer: Buffer, to bytes: UnsafeMutableRawBufferPointer, on queue: Queue) throws(MoEError)

  /// output `[tokens, rows]` = input `[tokens, columns]` · weightsᵀ + bias, all 32-bit floats.
  func apply(_ linear: Linear, to input: Buffer, tokenCount: Int, into output: Buffer, on queue: Queue) throws(MoEError)

  /// Routes logits `[tokens, experts]` to ids `[tokens, topK]` (Int32) and weights `[tokens, topK]` (Float).
  ///
  /// The default brings the logits to the host, which is right for any router and fast for none on a device.
  func route(
    _ router: any Router, logits: Buffer, tokenCount: Int, tokenIDs: [Int32]?, isPadding: [Bool]?,
    ids: Buffer, weights: Buffer, on queue: Queue
  ) throws(MoEError)

  /// output `[tokens, H]` = Σ over slots, in slot order, of weight · expert(hidden `[tokens, H]`), all 32-bit floats.
  ///
  /// - Parameters:
  ///   - ids: Int32 `[tokens, topK]`, slots of `storage`; −1 is skipped. Validated by the caller.
  ///   - weights: Float `[tokens, topK]`.
  func forward(
    _ storage: Storage, hidden: Buffer, ids: Buffer, weights: Buffer, tokenCount: Int, topK: Int, into output: Buffer,
    on queue: Queue
  ) throws(MoEError)

  /// The type of the rows between ``forwardRows(_:hidden:ids:weights:indices:tokenCount:topK:into:on:)`` and
  /// ``combine(_:rows:ids:weights:indices:tokenCount:topK:into:on:)``: what a token's experts are added in.
  var rowType: ElementType { get }

  /// The first half of `forward`, where the halves run on different ranks: rows[indices[slot]] = expert(hidden) of every
  /// slot with an id, not yet multiplied by its weight (but for weights on the input, which multiply here).
  ///
  /// - Parameters:
  ///   - ids: Int32 `[tokens, topK]`, slots of `storage`; −1 is skipped.
  ///   - indices: Int32 `[tokens, topK]`, distinct rows for the slots with ids.
  ///   - rows: ``rowType`` `[any, H]`.
  func forwardRows(
    _ storage: Storage, hidden: Buffer, ids: Buffer, weights: Buffer, indices: Buffer, tokenCount: Int, topK: Int,
    into rows: Buffer, on queue: Queue
  ) throws(MoEError)

  /// The second half: output `[tokens, H]` = Σ over slots, in slot order, of weight · rows[indices[slot]].
  ///
  /// Both halves give the bits of `forward`, whichever rank had the row.
  ///
  /// - Parameter ids: Int32 `[tokens, topK]`, of any meaning; −1 is skipped.
  func combine(
    _ storage: Storage, rows: Buffer, ids: Buffer, weights: Buffer, indices: Buffer, tokenCount: Int, topK: Int,
    into output: Buffer, on queue: Queue
  ) throws(MoEError)

  /// The specification that `storage` was laid out for.
  func specification(of storage: Storage) -> LayerSpecification

  /// The number of rows of `linear`.
  func rowCount(of linear: Linear) -> Int
}
