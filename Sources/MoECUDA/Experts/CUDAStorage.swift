// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import CAccelerators
internal import MoE
internal import Tensors

/// The experts of a layer in a device's memory, each in a contiguous region.
public final class CUDAStorage: Sendable {
  let layout: Layout
  let experts: StoredExperts
  let device: CUDADevice
  let memory: CUDABuffer
  /// What has been stored of each slot since it was begun.
  private let rows: [Locked<StoredRows>]
  /// The slots that can't be read.
  private let unreadable: Locked<Set<Int>>
  private let scales = Locked(InputScales(gateUp: nil, down: nil))

  init(_ layout: Layout, for kernels: KernelSet, on device: CUDADevice) throws(MoEError) {
    self.layout = layout
    self.device = device
    memory = try CUDABuffer(byteCount: layout.residentBytes, on: device)
    switch kernels {
    case .portable: experts = .portable(ExpertRegion(layout.specification))
    case .hopper(let kernels): experts = .hopper(try HopperExperts(kernels, layout, in: memory))
    }
    let slots = 0..<layout.specification.expertCount
    rows = slots.map { _ in Locked(StoredRows()) }
    unreadable = Locked(Set(slots))
  }

  var inputScales: InputScales {
    get { scales.withLock { $0 } }
    set { scales.withLock { $0 = newValue } }
  }

  func offset(of slot: LocalExpert) throws(MoEError) -> Int {
    try checkSlot(slot.rawValue, of: layout)
    return slot.rawValue * layout.bytesPerExpert
  }

  func begin(_ slot: LocalExpert) throws(MoEError) {
    try checkSlot(slot.rawValue, of: layout)
    rows[slot.rawValue].withLock { $0 = StoredRows() }
    unreadable.withLock { _ = $0.insert(slot.rawValue) }
  }

  /// Notes the rows of a slice.
  func insert(_ slice: ParameterSlice, _ slot: LocalExpert) throws(MoEError) {
    try checkSlot(slot.rawValue, of: layout)
    let layout = layout
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

  func finish(_ slot: LocalExpert) throws(MoEError) {
    try checkSlot(slot.rawValue, of: layout)
    try rows[slot.rawValue].withLock { $0 }.checkComplete(layout.specification, slot)
    markReadable(slot)
  }

  /// After a region was written whole.
  func markReadable(_ slot: LocalExpert) { unreadable.withLock { _ = $0.remove(slot.rawValue) } }

  func checkReadable(_ slot: LocalExpert) throws(MoEError) {
    try checkSlot(slot.rawValue, of: layout)
    guard !unreadable.withLock({ $0.contains(slot.rawValue) }) else {
      throw MoEError(.invalidArgument, "expert \(slot.rawValue) was never stored")
    }
  }

  /// - Throws: `invalidArgument` listing the slots that were never stored: on the device nobody would notice.
  func checkAllReadable() throws(MoEError) {
    let missing = unreadable.withLock { $0 }
    guard missing.isEmpty else {
      throw MoEError(
        .invalidArgument, "experts were never stored", expected: "all", found: "not \(missing.sorted())")
    }
  }
}

/// How the experts lie in memory, by the kernels that read them.
enum StoredExperts {
  case portable(ExpertRegion)
  case hopper(HopperExperts)

  /// The arrays that a slice of parameters becomes.
  func slices(_ slice: ParameterSlice, _ resident: ElementType) throws(MoEError) -> [RegionSlice] {
    switch self {
    case .portable(let region): try RegionSlice.slices(slice, in: region[slice.projection], resident)
    case .hopper(let experts): try experts.region.slices(slice)
    }
  }
}
