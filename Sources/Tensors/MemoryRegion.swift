// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// The memory behind an `AlignedBuffer`, and how it goes back. The only file of this module that talks to the system.
@safe
struct MemoryRegion {
  let bytes: UnsafeMutableRawBufferPointer
  /// Whether `bytes` was mapped (else it comes from the C heap).
  private let isMapped: Bool

  private static let mappingThreshold = 1 << 20
  private static let hugePageSize = 2 << 20

  init(byteCount: Int, zeroed: Bool, hugePages: Bool) throws(AllocationError) {
    guard byteCount >= 0 else { throw AllocationError(byteCount: byteCount, reason: "negative size") }
    isMapped = byteCount >= Self.mappingThreshold
    if isMapped {
      let wantsHuge = hugePages && byteCount >= 2 * Self.hugePageSize
      unsafe bytes = try Self.map(byteCount, alignment: wantsHuge ? Self.hugePageSize : 1)
      #if canImport(Glibc) || canImport(Musl)
        if wantsHuge { _ = unsafe madvise(bytes.baseAddress, byteCount, Int32(MADV_HUGEPAGE)) }
      #endif
    } else {
      // One byte at least, so that an empty buffer has an address of its own too.
      var address: UnsafeMutableRawPointer? = nil
      let status = unsafe posix_memalign(&address, AlignedBuffer.alignment, max(byteCount, 1))
      guard status == 0, let address = unsafe address else {
        throw AllocationError(byteCount: byteCount, reason: Self.reason(status))
      }
      unsafe bytes = UnsafeMutableRawBufferPointer(start: address, count: byteCount)
      if zeroed { unsafe bytes.initializeMemory(as: UInt8.self, repeating: 0) }
    }
  }

  func free() {
    if isMapped {
      unsafe munmap(bytes.baseAddress!, bytes.count)
    } else {
      #if canImport(Glibc)
        unsafe Glibc.free(bytes.baseAddress)
      #elseif canImport(Musl)
        unsafe Musl.free(bytes.baseAddress)
      #elseif canImport(Darwin)
        unsafe Darwin.free(bytes.baseAddress)
      #endif
    }
  }

  /// Maps fresh pages (zeros). Maps more than asked and cuts both ends off where an alignment above a page is wanted.
  private static func map(_ byteCount: Int, alignment: Int) throws(AllocationError) -> UnsafeMutableRawBufferPointer {
    let (total, overflow) = byteCount.addingReportingOverflow(alignment - 1)
    guard !overflow else { throw AllocationError(byteCount: byteCount, reason: "more than the address space") }
    #if canImport(Darwin)
      let flags = MAP_PRIVATE | MAP_ANON
    #else
      let flags = MAP_PRIVATE | MAP_ANONYMOUS
    #endif
    let start = unsafe mmap(nil, total, PROT_READ | PROT_WRITE, flags, -1, 0)
    guard let start = unsafe start, unsafe start != MAP_FAILED else {
      throw AllocationError(byteCount: byteCount, reason: reason(errno))
    }
    let aligned = unsafe start.alignedUp(toMultipleOf: alignment)
    let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    let head = unsafe aligned - start
    if head > 0 { unsafe munmap(start, head) }
    // `munmap` rounds its length up to pages, so the tail begins at the page after the last one in use.
    let used = unsafe (aligned + byteCount).alignedUp(toMultipleOf: page)
    let tail = unsafe start + total - used
    if tail > 0 { unsafe munmap(used, tail) }
    return unsafe UnsafeMutableRawBufferPointer(start: aligned, count: byteCount)
  }

  private static func reason(_ code: Int32) -> String { unsafe String(cString: strerror(code)) }
}
