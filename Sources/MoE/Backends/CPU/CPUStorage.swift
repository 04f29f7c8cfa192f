// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import CMoEKernels
internal import Tensors

/// The experts of a ``CPUBackend``: a packed region for each, in huge pages, slices of it near to the workers that read
/// them.
@safe
public final class CPUStorage: @unchecked Sendable {
  let layout: Layout
  let packed: moe_expert_layout
  private let memory: AlignedBuffer
  /// What has been stored of each slot since it was begun.
  private let rows: [Locked<StoredRows>]
  /// The start of each region that was stored, else null.
  let regions: UnsafeMutablePointer<UnsafeRawPointer?>

  init(_ layout: Layout, _ packed: moe_expert_layout, near pool: WorkerPool) throws(MoEError) {
    let count = layout.specification.expertCount
    let (byteCount, overflow) = count.multipliedReportingOverflow(by: Int(packed.bytes))
    do throws(AllocationError) {
      memory = try AlignedBuffer(
        byteCount: overflow ? .max : byteCount, contents: .uninitialized, hugePages: true)
    } catch {
      throw MoEError(error.faults)
    }
    unsafe moe_touch_experts(pool.handle, [packed], memory.bytes.baseAddress!, Int64(count))
    self.layout = layout
    self.packed = packed
    rows = (0..<count).map { _ in Locked(StoredRows()) }
    unsafe regions = .allocate(capacity: count)
    unsafe regions.initialize(repeating: nil, count: count)
  }

  deinit { unsafe regions.deallocate() }

  /// The region of a slot, stored or not.
  func region(_ slot: LocalExpert) throws(MoEError) -> UnsafeMutableRawBufferPointer {
    try checkSlot(slot.rawValue, of: layout)
    let size = Int(packed.bytes)
    return unsafe UnsafeMutableRawBufferPointer(
      rebasing: memory.bytes[slot.rawValue * size..<(slot.rawValue + 1) * size])
  }

  func begin(_ slot: LocalExpert) throws(MoEError) {
    try checkSlot(slot.rawValue, of: layout)
    unsafe regions[slot.rawValue] = nil
    rows[slot.rawValue].withLock { $0 = StoredRows() }
  }

  /// Notes the rows of a slice.
  func insert(_ slice: ParameterSlice, _ slot: LocalExpert) throws(MoEError) {
    let failure = rows[slot.rawValue].withLock { rows -> MoEError? in
      do throws(MoEError) {
        try rows.insert(slice, layout)
        return nil
      } catch {
        return error
      }
    }
    if let failure { throw failure }
  }

  /// Makes a region readable, when all of it was stored.
  func finish(_ slot: LocalExpert) throws(MoEError) {
    let region = unsafe try region(slot)
    try rows[slot.rawValue].withLock { $0 }.checkComplete(layout.specification, slot)
    unsafe regions[slot.rawValue] = UnsafeRawPointer(region.baseAddress!)
  }

  /// Makes a region readable that was written whole.
  func finish(_ slot: LocalExpert, _ region: UnsafeMutableRawBufferPointer) {
    unsafe regions[slot.rawValue] = UnsafeRawPointer(region.baseAddress!)
  }

  func checkStored(_ slot: LocalExpert) throws(MoEError) {
    try checkSlot(slot.rawValue, of: layout)
    guard unsafe regions[slot.rawValue] != nil else {
      throw MoEError(.invalidArgument, "expert \(slot.rawValue) was never stored")
    }
  }
}

/// A dense matrix of a ``CPUBackend``, packed as the experts are.
@safe
public final class CPULinear: @unchecked Sendable {
  let layout: moe_linear_layout
  let region: HostBuffer

  init(weights: [Float], rows: Int, columns: Int, bias: [Float]?) throws(MoEError) {
    try validateMatrix(weights, rows: rows, columns: columns, bias: bias)
    let layout = moe_linear_layout_make(Int64(columns), Int64(rows), .f32, bias != nil)
    let region = HostBuffer(byteCount: Int(layout.bytes))
    self.layout = layout
    self.region = region
    unsafe weights.withUnsafeBytes { weights in
      let source = unsafe moe_source(
        base: weights.baseAddress!, element: .f32, row_stride: Int64(columns), column_stride: 1)
      guard let bias else {
        unsafe moe_pack_linear([layout], source, nil, region.bytes.baseAddress!)
        return
      }
      unsafe bias.withUnsafeBytes { bias in
        var bias = unsafe moe_source(base: bias.baseAddress!, element: .f32, row_stride: 1, column_stride: 1)
        unsafe moe_pack_linear([layout], source, &bias, region.bytes.baseAddress!)
      }
    }
  }
}
