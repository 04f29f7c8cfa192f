// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import CMoEKernels

/// Bytes at a multiple of 64, all ones at first: NaN as a float of any width, -1 as an integer.
@safe final class Memory {
  let bytes: UnsafeMutableRawBufferPointer

  init(byteCount: Int) {
    unsafe bytes = .allocate(byteCount: max(byteCount, 1), alignment: 64)
    poison()
  }

  convenience init<Element: BitwiseCopyable>(_ elements: [Element]) {
    self.init(byteCount: elements.count * MemoryLayout<Element>.stride)
    unsafe elements.withUnsafeBytes { unsafe bytes.copyMemory(from: $0) }
  }

  deinit { unsafe bytes.deallocate() }

  var base: UnsafeMutableRawPointer { unsafe bytes.baseAddress! }
  var floats: UnsafeMutableBufferPointer<Float> { unsafe bytes.assumingMemoryBound(to: Float.self) }

  func poison() { unsafe bytes.initializeMemory(as: UInt8.self, repeating: 0xff) }
}

/// A worker pool that ends with its last reference.
@safe final class Pool {
  let handle: OpaquePointer

  init(threads: Int, spinNanoseconds: Int64 = 20_000) {
    unsafe handle = moe_pool_create(Int32(threads), nil, true, spinNanoseconds)!
  }

  deinit { unsafe moe_pool_destroy(handle) }
}

/// splitmix64: the same numbers in every run.
struct Random {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }

  /// Between -scale and scale.
  mutating func float(_ scale: Float = 1) -> Float { (Float(next() >> 40) * 0x1p-23 - 1) * scale }

  mutating func floats(_ count: Int, _ scale: Float = 1) -> [Float] { (0..<count).map { _ in float(scale) } }

  mutating func below(_ bound: Int) -> Int { Int(next() >> 33) % bound }
}

extension moe_isa {
  static var all: [moe_isa] { [.portable, .avx2, .avxvnni, .avx512, .avx512vnni, .avx512bf16] }
  static var supported: [moe_isa] { all.filter { moe_isa_supported($0) } }
  var kernels: OpaquePointer { unsafe moe_kernels_for(self)! }
  var name: String { unsafe String(cString: moe_isa_name(self)) }
}

extension moe_element {
  static var all: [moe_element] { [.f32, .f16, .bf16] }

  /// The nearest number of this type.
  func rounded(_ x: Float) -> Float {
    switch self {
    case .f32: x
    case .f16: Float(Float16(x))
    case .bf16: Float(bitPattern: (x.bitPattern &+ 0x7fff &+ (x.bitPattern >> 16 & 1)) & 0xffff_0000)
    @unknown default: fatalError()
    }
  }

  /// `values`, each rounded, as stored bytes.
  func encoded(_ values: [Float]) -> [UInt8] {
    switch self {
    case .f32: values.bytes
    case .f16: values.map { Float16($0).bitPattern }.bytes
    case .bf16: values.map { UInt16(rounded($0).bitPattern >> 16) }.bytes
    @unknown default: fatalError()
    }
  }
}

extension moe_expert_shape {
  /// Experts whose projections all have one dense form.
  init(hidden: Int, intermediate: Int, element: moe_element, gated: Bool, biased: Bool) {
    let form = moe_form_dense(element)
    self.init(
      hidden: Int64(hidden), intermediate: Int64(intermediate), gate: form, up: form, down: form, gated: gated,
      has_bias: biased)
  }

  var projections: [moe_projection] { gated ? [.gate, .up, .down] : [.up, .down] }

  func form(_ projection: moe_projection) -> moe_form { [gate, up, down][Int(projection.rawValue)] }

  func outputs(_ projection: moe_projection) -> Int { Int(projection == .down ? hidden : intermediate) }

  func inputs(_ projection: moe_projection) -> Int { Int(projection == .down ? intermediate : hidden) }
}

extension Array where Element: BitwiseCopyable {
  fileprivate var bytes: [UInt8] { unsafe withUnsafeBytes { unsafe Array<UInt8>($0) } }
}

extension moe_activation_function {
  static var all: [moe_activation_function] { [.silu, .geluErf, .geluTanh, .relu2, .situ] }
}
