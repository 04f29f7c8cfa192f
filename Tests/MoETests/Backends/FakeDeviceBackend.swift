// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import MoE
import Synchronization
import Tensors

/// A device that is none: its buffers are handles into memory the host can't see, its queue runs commands only when it
/// has to, and it keeps its experts transposed.
struct FakeDeviceBackend: Backend {
  let device = FakeDevice()
  var hiddenAlignment = 1
  var intermediateAlignment = 1

  var name: String { "fake" }

  /// A place in the device's memory.
  struct Buffer {
    let handle: Int
  }

  /// Commands that wait.
  final class Queue {
    fileprivate(set) var pending: [(FakeDevice) -> Void] = []
    fileprivate(set) var failure: MoEError?
  }

  struct Linear: Sendable {
    let rows: Int
    let columns: Int
    /// Transposed, `[columns, rows]`, then the bias.
    let weights: [Float]
    let bias: [Float]
  }

  final class Storage: Sendable {
    let layout: Layout
    let slots: Mutex<[Int: [Float]]>
    /// Rows of experts that are not whole.
    let slices = Mutex<[Int: [String: [Int: [Float]]]]>([:])
    let rows = Mutex<[Int: StoredRows]>([:])

    init(_ layout: Layout) {
      self.layout = layout
      slots = Mutex([:])
    }
  }
}

/// The memory of the device, and what went in and out.
final class FakeDevice: Sendable {
  struct State {
    var memory: [Int: [UInt8]] = [:]
    var uploads = 0
    var downloads = 0
    var commands = 0
    var replaces = 0
    /// How many experts may be replaced before one can't be; nil for any number.
    var replacesLeft: Int?
  }

  let state = Mutex(State())

  var uploads: Int { state.withLock { $0.uploads } }
  var downloads: Int { state.withLock { $0.downloads } }
  var commands: Int { state.withLock { $0.commands } }

  func values<Element: BitwiseCopyable>(_ buffer: FakeDeviceBackend.Buffer, _ count: Int, _ type: Element.Type)
    -> [Element]
  {
    let bytes = state.withLock { $0.memory[buffer.handle]! }
    precondition(count * MemoryLayout<Element>.stride <= bytes.count, "outside of a buffer")
    return unsafe bytes.withUnsafeBytes { bytes in
      (0..<count).map { unsafe bytes.loadUnaligned(fromByteOffset: $0 * MemoryLayout<Element>.stride, as: type) }
    }
  }

  /// - Parameter start: in elements.
  func set<Element: BitwiseCopyable>(_ buffer: FakeDeviceBackend.Buffer, _ values: [Element], at start: Int = 0) {
    let bytes = unsafe values.withUnsafeBytes { unsafe Array($0) }
    let offset = start * MemoryLayout<Element>.stride
    state.withLock { $0.memory[buffer.handle]!.replaceSubrange(offset..<offset + bytes.count, with: bytes) }
  }
}

// MARK: - Memory

extension FakeDeviceBackend {
  func makeQueue() -> Queue { Queue() }

  /// Filled with NaN, as nothing may rely on it.
  func makeBuffer(byteCount: Int) -> Buffer {
    device.state.withLock {
      let handle = $0.memory.count + 1000
      $0.memory[handle] = Array(repeating: 0xFF, count: byteCount)
      return Buffer(handle: handle)
    }
  }

  func upload(_ bytes: UnsafeRawBufferPointer, to buffer: Buffer, on queue: Queue) {
    let copy = unsafe Array(bytes)
    queue.pending.append { device in
      device.set(buffer, copy)
      device.state.withLock { $0.uploads += 1 }
    }
  }

  func download(_ buffer: Buffer, to bytes: UnsafeMutableRawBufferPointer, on queue: Queue) throws(MoEError) {
    try synchronize(queue)
    device.state.withLock { $0.downloads += 1 }
    unsafe bytes.copyBytes(from: device.values(buffer, bytes.count, UInt8.self))
  }

  /// Runs what waits.
  func synchronize(_ queue: Queue) throws(MoEError) {
    let commands = queue.pending
    queue.pending = []
    device.state.withLock { $0.commands += commands.count }
    for command in commands { command(device) }
    if let failure = queue.failure { throw failure }
  }
}

// MARK: - Storing

extension FakeDeviceBackend {
  /// Every matrix transposed and followed by its bias, in 32 bits.
  func layout(of specification: LayerSpecification) throws(MoEError) -> Layout {
    let biases = specification.hasBias ? specification.projections.map { specification.size(of: $0).rows } : []
    return Layout(
      identity: "fake/transposed", specification: specification, residentType: .f32,
      hiddenAlignment: hiddenAlignment, intermediateAlignment: intermediateAlignment,
      bytesPerExpert: (specification.parametersPerExpert + biases.reduce(0, +)) * 4, workspacePerRow: 0)
  }

  func allocate(_ layout: Layout) -> Storage { Storage(layout) }

  func specification(of storage: Storage) -> LayerSpecification { storage.layout.specification }

  func begin(_ slot: LocalExpert, in storage: Storage) {
    storage.slices.withLock { $0[slot.rawValue] = [:] }
    storage.rows.withLock { $0[slot.rawValue] = StoredRows() }
  }

  /// Keeps every row until the expert is whole.
  func store(_ slice: ParameterSlice, slot: LocalExpert, in storage: Storage) throws(MoEError) {
    guard case .dense(let view) = slice.content else { throw MoEError(.unsupportedByBackend, "codes") }
    let failure = storage.rows.withLock { rows -> MoEError? in
      do throws(MoEError) {
        try rows[slot.rawValue]!.insert(slice, storage.layout)
        return nil
      } catch {
        return error
      }
    }
    if let failure { throw failure }
    let width = view.elementType.bitWidth / 8
    let rows = (0..<view.rows).map { row in
      unsafe [Float](unsafeUninitializedCapacity: view.columns) { target, initialized in
        unsafe view.elementType.decode(
          view.base + row * view.rowStride * width, count: view.columns, stride: view.columnStride,
          into: target.baseAddress!)
        initialized = view.columns
      }
    }
    storage.slices.withLock { slices in
      for (index, row) in rows.enumerated() {
        slices[slot.rawValue]!["\(slice.projection) \(slice.role)", default: [:]][slice.firstRow + index] = row
      }
    }
  }

  func finish(_ slot: LocalExpert, in storage: Storage) throws(MoEError) {
    let specification = storage.layout.specification
    try storage.rows.withLock { $0[slot.rawValue]! }.checkComplete(specification, slot)
    let slices = storage.slices.withLock { $0[slot.rawValue]! }
    var values: [Float] = []
    for projection in specification.projections {
      for role in specification.roles {
        let rows = slices["\(projection) \(role)"]!.sorted { $0.key < $1.key }.map(\.value)
        for column in rows[0].indices { values += rows.map { $0[column] } }
      }
    }
    let stored = values
    storage.slots.withLock { $0[slot.rawValue] = stored }
  }

  func withBytes<Value>(
    of slot: LocalExpert, in storage: Storage, _ body: (UnsafeRawBufferPointer) throws(MoEError) -> Value
  ) throws(MoEError) -> Value {
    let values = storage.slots.withLock { $0[slot.rawValue] } ?? []
    let result = unsafe values.withUnsafeBytes { bytes -> Result<Value, MoEError> in
      do throws(MoEError) { return .success(try unsafe body(bytes)) } catch { return .failure(error) }
    }
    return try result.get()
  }

  func replace(_ slot: LocalExpert, in storage: Storage, with bytes: UnsafeRawBufferPointer) throws(MoEError) {
    let isFull = device.state.withLock { state in
      defer { state.replacesLeft = state.replacesLeft.flatMap { $0 == 0 ? nil : $0 - 1 } }
      state.replaces += 1
      return state.replacesLeft == 0
    }
    if isFull { throw MoEError(.outOfMemory, "the device is full") }
    let values = unsafe Array(bytes.bindMemory(to: Float.self))
    storage.slots.withLock { $0[slot.rawValue] = values }
  }

  func makeLinear(weights: [Float], rows: Int, columns: Int, bias: [Float]?) -> Linear {
    Linear(
      rows: rows, columns: columns, weights: Self.transposed(weights, rows: rows, columns: columns),
      bias: bias ?? Array(repeating: 0, count: rows))
  }

  func rowCount(of linear: Linear) -> Int { linear.rows }

  static func transposed(_ values: [Float], rows: Int, columns: Int) -> [Float] {
    (0..<values.count).map { values[$0 % rows * columns + $0 / rows] }
  }
}

// MARK: - Running

extension FakeDeviceBackend {
  func apply(_ linear: Linear, to input: Buffer, tokenCount: Int, into output: Buffer, on queue: Queue) {
    queue.pending.append { device in
      let x = device.values(input, tokenCount * linear.columns, Float.self)
      var result: [Float] = []
      for token in 0..<tokenCount {
        let row = x[token * linear.columns..<(token + 1) * linear.columns].map(Double.init)
        result += Self.product(linear.weights[...], linear.bias[...], row, rows: linear.rows).map { Float($0) }
      }
      device.set(output, result)
    }
  }

  /// Routers of top k are done by the device; others come through the host.
  func route(
    _ router: any Router, logits: Buffer, tokenCount: Int, tokenIDs: [Int32]?, isPadding: [Bool]?, ids: Buffer,
    weights: Buffer, on queue: Queue
  ) throws(MoEError) {
    guard let router = router as? TopKRouter else {
      let values = try download(logits, count: tokenCount * router.expertCount, as: Float.self, on: queue)
      let routing = try router.route(
        RouterInput(logits: values, tokenCount: tokenCount, tokenIDs: tokenIDs, isPadding: isPadding))
      try upload(routing.ids, to: ids, on: queue)
      try upload(routing.weights, to: weights, on: queue)
      return
    }
    queue.pending.append { device in
      let values = device.values(logits, tokenCount * router.expertCount, Float.self)
      do throws(MoEError) {
        let routing = try router.route(RouterInput(logits: values, tokenCount: tokenCount, isPadding: isPadding))
        device.set(ids, routing.ids)
        device.set(weights, routing.weights)
      } catch {
        queue.failure = error
      }
    }
  }

  var rowType: ElementType { .f64 }

  func forwardRows(
    _ storage: Storage, hidden: Buffer, ids: Buffer, weights: Buffer, indices: Buffer, tokenCount: Int, topK: Int,
    into rows: Buffer, on queue: Queue
  ) {
    queue.pending.append { device in
      let specification = storage.layout.specification
      let width = specification.hiddenSize
      let x = device.values(hidden, tokenCount * width, Float.self).map(Double.init)
      let ids = device.values(ids, tokenCount * topK, Int32.self)
      let weights = device.values(weights, tokenCount * topK, Float.self)
      let indices = device.values(indices, tokenCount * topK, Int32.self)
      for slot in ids.indices where ids[slot] >= 0 {
        let row = slot / topK * width
        let weight = specification.weightOnInput ? Double(weights[slot]) : 1
        let values = storage.slots.withLock { $0[Int(ids[slot])]! }
        let input = x[row..<row + width].map { weight * $0 }
        device.set(rows, Self.expert(values, specification, input), at: Int(indices[slot]) * width)
      }
    }
  }

  func combine(
    _ storage: Storage, rows: Buffer, ids: Buffer, weights: Buffer, indices: Buffer, tokenCount: Int, topK: Int,
    into output: Buffer, on queue: Queue
  ) {
    queue.pending.append { device in
      let specification = storage.layout.specification
      let width = specification.hiddenSize
      let ids = device.values(ids, tokenCount * topK, Int32.self)
      let weights = device.values(weights, tokenCount * topK, Float.self)
      let indices = device.values(indices, tokenCount * topK, Int32.self)
      let used = indices.indices.filter { ids[$0] >= 0 }.map { Int(indices[$0]) }
      let rows = device.values(rows, ((used.max() ?? -1) + 1) * width, Double.self)
      var result = [Double](repeating: 0, count: tokenCount * width)
      for slot in ids.indices where ids[slot] >= 0 {
        let weight = specification.weightOnInput ? 1 : Double(weights[slot])
        let (row, target) = (Int(indices[slot]) * width, slot / topK * width)
        for column in 0..<width { result[target + column] += weight * rows[row + column] }
      }
      device.set(output, result.map { Float($0) })
    }
  }

  private static func expert(_ values: [Float], _ specification: LayerSpecification, _ input: [Double]) -> [Double] {
    var offset = 0
    func next(_ projection: Projection, _ x: [Double]) -> [Double] {
      let (rows, columns) = specification.size(of: projection)
      let end = offset + rows * columns
      let bias = specification.hasBias ? values[end..<end + rows] : []
      defer { offset = end + bias.count }
      return product(values[offset..<end], bias, x, rows: rows)
    }
    let gate = specification.activation.isGated ? next(.gate, input) : []
    let up = next(.up, input)
    let activated = up.indices.map { specification.activation(gate: gate.isEmpty ? 0 : gate[$0], up: up[$0]) }
    return next(.down, activated)
  }

  /// bias + matrix · x, of a matrix `[columns, rows]`.
  private static func product(
    _ matrix: ArraySlice<Float>, _ bias: ArraySlice<Float>, _ x: [Double], rows: Int
  ) -> [Double] {
    var sums = bias.isEmpty ? [Double](repeating: 0, count: rows) : bias.map(Double.init)
    for (column, value) in x.enumerated() {
      let start = matrix.startIndex + column * rows
      for row in 0..<rows { sums[row] += Double(matrix[start + row]) * value }
    }
    return sums
  }
}
