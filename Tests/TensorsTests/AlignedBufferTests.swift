// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Tensors
import Testing

@Suite struct AlignedBufferTests {
  @Test(arguments: [0, 1, 63, 64, 4096, 1 << 20, 1 << 20 + 1, 4 << 20, 9 << 20 + 5], [false, true])
  func alignedAndZeroed(byteCount: Int, hugePages: Bool) throws {
    let buffer = try AlignedBuffer(byteCount: byteCount, hugePages: hugePages)
    #expect(buffer.byteCount == byteCount)
    let bytes = unsafe buffer.bytes
    let alignment = hugePages && byteCount >= 4 << 20 ? 2 << 20 : AlignedBuffer.alignment
    // `#expect` does not know `unsafe`: the values are taken first.
    let address = Int(bitPattern: bytes.baseAddress)
    #expect(address % alignment == 0)
    let isZeroed = unsafe bytes.allSatisfy { $0 == 0 }
    #expect(isZeroed)
    // All of it is ours: writing the ends must not fault.
    unsafe bytes.initializeMemory(as: UInt8.self, repeating: 0xA5)
    let isWritten = unsafe bytes.allSatisfy { $0 == 0xA5 }
    #expect(isWritten)
  }

  @Test func spans() throws {
    var buffer = try AlignedBuffer(byteCount: 8)
    buffer.withMutableBytes { span in span.storeBytes(of: UInt32(7), toByteOffset: 4, as: UInt32.self) }
    let value = buffer.withBytes { unsafe $0.unsafeLoad(fromByteOffset: 4, as: UInt32.self) }
    #expect(value == 7)
  }

  @Test(arguments: [-1, 1 << 62, Int.max])
  func refusesWhatCannotBeHad(byteCount: Int) {
    let error = #expect(throws: AllocationError.self) { _ = try AlignedBuffer(byteCount: byteCount, hugePages: true) }
    #expect(error?.description.contains("cannot allocate \(byteCount) bytes") == true)
    #expect(error?.faults.map(\.code) == [.outOfMemory])
  }
}
