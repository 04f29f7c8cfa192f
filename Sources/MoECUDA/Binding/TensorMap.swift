// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import CAccelerators
internal import MoE

/// What a bulk tensor copy reads: an array in device memory, and the boxes that are copied of it.
@safe
struct TensorMap: Sendable {
  /// The driver's, which a kernel takes by value.
  var words: [16 of UInt64] = .init(repeating: 0)

  /// The numbers of an array.
  enum Element: Int32 {
    case byte = 0
    case longWord = 4
    case bf16 = 9

    var bytes: Int { self == .byte ? 1 : self == .bf16 ? 2 : 8 }
  }

  /// One that nothing is copied by.
  init() {}

  /// - Parameters:
  ///   - sizes: the fastest first.
  ///   - strides: in bytes, of all dimensions but the first.
  ///   - isSwizzled: whether 16-byte pieces of 128-byte rows change places, as the tensor cores want them.
  init(
    of element: Element, at address: UInt64, sizes: [Int], strides: [Int], box: [Int], isSwizzled: Bool,
    _ device: CUDADevice
  ) throws(MoEError) {
    let (sizes, strides) = (sizes.map(UInt64.init), strides.map(UInt64.init))
    let (box, steps) = (box.map(UInt32.init), [UInt32](repeating: 1, count: box.count))
    // Aligned as the driver wants it.
    let map = UnsafeMutableRawPointer.allocate(
      byteCount: MOE_CU_TENSOR_MAP_BYTES, alignment: MOE_CU_TENSOR_MAP_ALIGNMENT)
    defer { unsafe map.deallocate() }
    try device.call("cuTensorMapEncodeTiled") {
      unsafe $0.encode_tensor_map(
        map, element.rawValue, UInt32(sizes.count), address, sizes, strides, box, steps, 0, isSwizzled ? 3 : 0, 3, 0)
    }
    words = unsafe map.loadUnaligned(as: [16 of UInt64].self)
  }
}
