// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

extension GGMLType {
  /// Whether `encode` knows the type: F32, F16, BF16, F64, and every block type but those of lattices and NVFP4.
  public var isEncodable: Bool { elementType?.isEncodable ?? (format is any EncodableBlockFormat.Type) }

  /// The types that `encode` knows.
  public static let encodable = allCases.filter(\.isEncodable)

  /// Encodes `count` elements, whole blocks.
  ///
  /// Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, TQ1_0, TQ2_0 and MXFP4 round as the reference of ggml does (`gguf.quants.quantize`
  /// of gguf-py), bit for bit. Q2_K … Q6_K, IQ4_NL and IQ4_XS leave the choice of scales to the encoder: here it is a
  /// search for the least squared error. Infinities and NaNs have no code; what they become is not defined.
  ///
  /// - Parameters:
  ///   - source: Finite values.
  ///   - count: The number of elements.
  ///   - destination: Room for the blocks; any alignment.
  /// - Precondition: `isEncodable`, and `count` is a multiple of `blockElements`.
  @unsafe
  public func encode(_ source: UnsafePointer<Float>, count: Int, into destination: UnsafeMutableRawPointer) {
    precondition(count >= 0 && count % blockElements == 0, "\(count) elements are no whole number of \(self) blocks")
    if let format = format as? any EncodableBlockFormat.Type {
      unsafe format.encode(source, blocks: count / format.elements, into: destination)
    } else if let elementType {
      guard count > 0 else { return }
      let bytes = elementType.encode(unsafe Array(UnsafeBufferPointer(start: source, count: count)))
      unsafe bytes.withUnsafeBytes { unsafe destination.copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
    } else {
      preconditionFailure("\(self) blocks are not written")
    }
  }

  /// The bytes of `values` in this type.
  ///
  /// - Precondition: `isEncodable`, and `values` are whole blocks.
  public func encode(_ values: [Float]) -> [UInt8] {
    guard let size = byteCount(ofRow: values.count) else {
      preconditionFailure("\(values.count) elements are no whole number of \(self) blocks")
    }
    guard size > 0 else { return [] }
    return unsafe [UInt8](unsafeUninitializedCapacity: size) { bytes, initialized in
      unsafe values.withUnsafeBufferPointer {
        unsafe encode($0.baseAddress!, count: $0.count, into: UnsafeMutableRawPointer(bytes.baseAddress!))
      }
      initialized = size
    }
  }
}
