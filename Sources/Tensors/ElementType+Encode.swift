// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

extension ElementType {
  /// Whether `encode` knows the type: every floating-point type of whole bytes.
  public var isEncodable: Bool {
    switch self {
    case .f64, .f32, .f16, .bf16, .f8e4m3, .f8e5m2, .f8e4m3fnuz, .f8e5m2fnuz, .f8e8m0: true
    default: false
    }
  }

  /// The little-endian bytes of `values` in this type, rounded to nearest, ties to even.
  ///
  /// F16 and BF16 overflow to infinity, the 8-bit types saturate.
  ///
  /// - Precondition: `isEncodable`.
  public func encode(_ values: [Float]) -> [UInt8] {
    switch self {
    case .f64: littleEndianBytes(values) { Double($0).bitPattern }
    case .f32: littleEndianBytes(values) { $0.bitPattern }
    case .f16: littleEndianBytes(values) { Float16($0).bitPattern }
    case .bf16: littleEndianBytes(values) { BFloat16.encode($0) }
    case .f8e8m0: values.map { E8M0.encode($0) }
    case .f8e4m3, .f8e5m2, .f8e4m3fnuz, .f8e5m2fnuz: values.map(miniFloat!.encode)
    default: preconditionFailure("\(self) elements have no encoding from floats")
    }
  }
}

@inline(__always)
private func littleEndianBytes<Code: FixedWidthInteger & BitwiseCopyable>(
  _ values: [Float], _ code: (Float) -> Code
) -> [UInt8] {
  let width = MemoryLayout<Code>.size
  return unsafe [UInt8](unsafeUninitializedCapacity: values.count * width) { bytes, initialized in
    let raw = UnsafeMutableRawBufferPointer(bytes)
    for index in values.indices {
      unsafe raw.storeBytes(of: code(values[index]).littleEndian, toByteOffset: index * width, as: Code.self)
    }
    initialized = values.count * width
  }
}
