// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Checkpoints

internal import CMoEKernels
internal import Tensors

/// Experts on the processor: weights packed in panels of 32 columns, sums in 32 bits, activations in 32-bit floats or, if
/// asked for, in bf16 or as bytes.
///
/// **Precision.** Every output element is one 32-bit sum over its inputs in ascending order (of codes: over the sums of
/// groups), so a token's bits depend neither on the number of threads nor on the other tokens; they do depend on the
/// instruction set.
///
/// ```swift
/// let backend = CPUBackend()                                          // all processors, the widest instructions
/// let quiet = CPUBackend(pool: WorkerPool(threads: 4)!, instructionSet: .avx2)
/// ```
public struct CPUBackend: HostBackend {
  public let pool: WorkerPool
  public let instructionSet: InstructionSet
  /// What the inputs of both products are rounded to; where they are asked for as declared, and declared, a layer is
  /// refused.
  public let activations: ActivationPrecision
  let workspaces = BufferCache()

  public var name: String { "cpu" }

  public var arithmetic: String { "cpu, \(instructionSet.rawValue), activations \(activations.rawValue)" }

  /// - Precondition: `instructionSet` is supported.
  public init(
    pool: WorkerPool = .shared, instructionSet: InstructionSet = .best, activations: ActivationPrecision = .f32
  ) {
    precondition(instructionSet.isSupported, "\(instructionSet) is not supported by this processor")
    self.pool = pool
    self.instructionSet = instructionSet
    self.activations = activations
  }

  var kernels: OpaquePointer { unsafe moe_kernels_for(instructionSet.isa)! }

  public func layout(of specification: LayerSpecification) throws(MoEError) -> Layout {
    try specification.validate()
    guard activations.packed != nil || (activations == .declared && specification.activations == .unquantized) else {
      throw MoEError(
        .unsupportedByBackend, "the cpu backend computes with activations in f32, bf16 or int8",
        subject: "activations", expected: "f32, bf16 or int8",
        found: activations == .declared ? "\(specification.activations)" : activations.rawValue,
        remedy: "use --backend reference, or --activations f32")
    }
    let packed = try specification.packedLayout()
    return Layout(
      identity: "cpu/panel32/\(specification.residentName)", specification: specification,
      residentType: specification.elementType, codes: specification.codes,
      rowAlignment: Int(MOE_PANEL_OUTPUTS), bytesPerExpert: Int(packed.bytes),
      workspacePerRow: Int(packed.up.panels) * 32 * MemoryLayout<Float>.stride)
  }

  public func allocate(_ layout: Layout) throws(MoEError) -> CPUStorage {
    try CPUStorage(layout, layout.specification.packedLayout(), near: pool)
  }

  public func specification(of storage: CPUStorage) -> LayerSpecification { storage.layout.specification }

  public func begin(_ slot: LocalExpert, in storage: CPUStorage) throws(MoEError) {
    try storage.begin(slot)
    let specification = storage.layout.specification
    if specification.hasBias && !specification.activation.isGated {
      // The kernels add biases in pairs.
      let all = moe_outputs(first: 0, count: Int64(specification.intermediateSize))
      let region = unsafe try storage.region(slot)
      unsafe moe_pack_bias([storage.packed], .gate, all, nil, region.baseAddress!)
    }
  }

  public func store(_ slice: ParameterSlice, slot: LocalExpert, in storage: CPUStorage) throws(MoEError) {
    let region = unsafe try storage.region(slot).baseAddress!
    try storage.insert(slice, slot)
    let (projection, form) = (slice.projection, storage.layout.codes[slice.projection])
    let outputs = moe_outputs(first: Int64(slice.firstRow), count: Int64(slice.rows.count))
    switch slice.content {
    case .codes(let weights):
      guard let form, slice.role == .weight else { throw Self.unexpected(slice, slot) }
      try weights.validate(as: form, projection)
      let status = unsafe weights.withPackedSource { source in
        unsafe moe_pack_coded([storage.packed], projection.packed, outputs, source, region)
      }
      guard status == .ok else {
        throw MoEError(
          .invalidValue, "the \(projection) of expert \(slot.rawValue) can't be kept as \(form)",
          expected: status == .notRepresentable
            ? "finite scales of that type" : "codes of \(form.bits) bits with finite values",
          found: "others")
      }
    case .dense(let view):
      guard let element = view.elementType.packed else {
        throw MoEError(
          .unsupportedByBackend, "a \(projection) \(slice.role) of type \(view.elementType) can't be packed",
          expected: "F32, F16 or BF16")
      }
      guard slice.role == .bias || form == nil else { throw Self.unexpected(slice, slot) }
      var source = unsafe moe_source(
        base: view.base, element: element, row_stride: Int64(view.rowStride), column_stride: Int64(view.columnStride))
      if slice.role == .bias {
        unsafe moe_pack_bias([storage.packed], projection.packed, outputs, &source, region)
      } else {
        unsafe moe_pack_projection([storage.packed], projection.packed, outputs, source, region)
      }
    }
  }

  private static func unexpected(_ slice: ParameterSlice, _ slot: LocalExpert) -> MoEError {
    MoEError(
      .typeMismatch, "the \(slice.projection) of expert \(slot.rawValue) is kept in another form",
      expected: "what the layout says", found: "another form")
  }

  public func finish(_ slot: LocalExpert, in storage: CPUStorage) throws(MoEError) { try storage.finish(slot) }

  public func withBytes<Value>(
    of slot: LocalExpert, in storage: CPUStorage, _ body: (UnsafeRawBufferPointer) throws(MoEError) -> Value
  ) throws(MoEError) -> Value {
    try storage.checkStored(slot)
    let region = unsafe try storage.region(slot)
    return unsafe try body(UnsafeRawBufferPointer(region))
  }

  public func replace(
    _ slot: LocalExpert, in storage: CPUStorage, with bytes: UnsafeRawBufferPointer
  ) throws(MoEError) {
    try checkRegion(bytes.count, of: storage.layout)
    let region = unsafe try storage.region(slot)
    unsafe region.copyMemory(from: bytes)
    unsafe storage.finish(slot, region)
  }
}

// MARK: - Running

extension CPUBackend {
  public func makeLinear(
    weights: [Float], rows: Int, columns: Int, bias: [Float]?
  ) throws(MoEError) -> CPULinear {
    try CPULinear(weights: weights, rows: rows, columns: columns, bias: bias)
  }

  public func rowCount(of linear: CPULinear) -> Int { Int(linear.layout.outputs) }

  public func apply(
    _ linear: CPULinear, to input: HostBuffer, tokenCount: Int, into output: HostBuffer, on queue: HostQueue
  ) throws(MoEError) {
    try validateBatch(tokenCount)
    let (rows, columns) = (Int(linear.layout.outputs), Int(linear.layout.inputs))
    let needed = unsafe moe_linear_workspace([linear.layout], Int64(tokenCount), pool.handle)
    let workspace = workspaces.take(byteCount: Int(needed))
    defer { workspaces.give(workspace) }
    var arguments = try unsafe moe_linear_arguments(
      kernels: kernels, layout: linear.layout, region: UnsafeRawPointer(linear.region.bytes.baseAddress!),
      tokens: Int64(tokenCount), x: input.start(tokenCount * columns, as: Float.self), x_stride: Int64(columns),
      out: output.start(tokenCount * rows, as: Float.self), out_stride: Int64(rows),
      workspace: workspace.bytes.baseAddress!, workspace_bytes: Int64(workspace.byteCount))
    let status = unsafe moe_linear(pool.handle, &arguments)
    precondition(status == .ok, "the workspace was sized by the kernels themselves")
  }
}
