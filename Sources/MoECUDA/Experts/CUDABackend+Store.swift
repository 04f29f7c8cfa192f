// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import CAccelerators
public import MoE
internal import Tensors

extension CUDABackend {
  public func begin(_ slot: LocalExpert, in storage: CUDAStorage) throws(MoEError) { try storage.begin(slot) }

  /// Packs rows in pinned memory, a few megabytes at a time, and copies them to the device.
  public func store(_ slice: ParameterSlice, slot: LocalExpert, in storage: CUDAStorage) throws(MoEError) {
    let start = try storage.offset(of: slot)
    try storage.insert(slice, slot)
    let (projection, form) = (slice.projection, storage.layout.codes[slice.projection])
    switch slice.content {
    case .codes(let weights):
      guard let form, slice.role == .weight else { throw Self.unexpected(slice, slot) }
      try weights.validate(as: form, projection)
    case .dense:
      guard slice.role == .bias || form == nil else { throw Self.unexpected(slice, slot) }
    }
    let parts = try storage.experts.slices(slice, storage.layout.residentType)
    try storage.device.staging.lend(on: storage.device) { (staging) throws(MoEError) in
      for part in parts { try part.copy(to: storage.memory, at: start, through: staging) }
    }
  }

  private static func unexpected(_ slice: ParameterSlice, _ slot: LocalExpert) -> MoEError {
    MoEError(
      .typeMismatch, "the \(slice.projection) of expert \(slot.rawValue) is kept in another form",
      expected: "what the layout says", found: "another form")
  }

  public func finish(_ slot: LocalExpert, in storage: CUDAStorage) throws(MoEError) { try storage.finish(slot) }

  public func setInputScales(_ scales: InputScales, in storage: CUDAStorage) throws(MoEError) {
    storage.inputScales = scales
  }

  public func withBytes<Value>(
    of slot: LocalExpert, in storage: CUDAStorage, _ body: (UnsafeRawBufferPointer) throws(MoEError) -> Value
  ) throws(MoEError) -> Value {
    try storage.checkReadable(slot)
    let start = try storage.offset(of: slot)
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: storage.layout.bytesPerExpert, alignment: 64)
    defer { unsafe copy.deallocate() }
    try unsafe storage.memory.download(copy, at: start, on: makeQueue())
    return try unsafe body(UnsafeRawBufferPointer(copy))
  }

  public func replace(
    _ slot: LocalExpert, in storage: CUDAStorage, with bytes: UnsafeRawBufferPointer
  ) throws(MoEError) {
    try checkRegion(bytes.count, of: storage.layout)
    let start = try storage.offset(of: slot)
    let queue = try makeQueue()
    try unsafe storage.memory.upload(bytes, at: start, on: queue)
    try queue.synchronize()
    storage.markReadable(slot)
  }
}

extension RegionSlice {
  /// Copies all rows to the region that begins at `start`.
  fileprivate func copy(to memory: CUDABuffer, at start: Int, through staging: Staging) throws(MoEError) {
    guard rowCount > 0 else { return }
    guard rowBytes <= Staging.byteCount else {
      throw MoEError(
        .unsupportedByBackend, "a row is too long for the device", expected: "at most \(Staging.byteCount) bytes",
        found: "\(rowBytes)")
    }
    let step = Staging.byteCount / rowBytes
    for first in stride(from: 0, to: rowCount, by: step) {
      let rows = first..<min(first + step, rowCount)
      let target = unsafe UnsafeMutableRawBufferPointer(rebasing: staging.bytes[..<(rows.count * rowBytes)])
      unsafe target.initializeMemory(as: UInt8.self, repeating: 0)
      try unsafe pack(rows, target)
      try staging.flush(target.count, to: memory, at: start + offset + first * rowBytes)
    }
  }
}
