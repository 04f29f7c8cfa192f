// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import CMoEKernels
internal import Glibc

/// A level of vector instructions that the kernels are compiled for.
public enum InstructionSet: String, Sendable, Hashable, CaseIterable {
  /// 16-byte vectors, any processor.
  case portable
  /// AVX2 with FMA and F16C.
  case avx2
  /// AVX2 with dots of bytes (AVX-VNNI).
  case avxvnni
  /// AVX-512 F, BW, VL and DQ.
  case avx512
  /// AVX-512 with dots and lookups of bytes (VNNI, VBMI).
  case avx512vnni
  /// That with dots of bf16 (BF16).
  case avx512bf16
  /// AVX-512 with VNNI and VBMI, and tiles of bf16 and of bytes (AMX).
  case amx

  /// The fastest that this processor and its operating system support, by a table: the same in each run.
  public static var best: Self { allCases.first { $0.isa == moe_isa_best() }! }

  public var isSupported: Bool { moe_isa_supported(isa) }

  var isa: moe_isa {
    switch self {
    case .portable: .portable
    case .avx2: .avx2
    case .avxvnni: .avxvnni
    case .avx512: .avx512
    case .avx512vnni: .avx512vnni
    case .avx512bf16: .avx512bf16
    case .amx: .amx
    }
  }
}

/// What multiplies activations of one precision.
public struct ProductInstruction: Sendable, Hashable {
  public var precision: ActivationPrecision
  /// By its name in the processor's manual; what else serves stands behind it.
  public var name: String
  /// Of one processor on numbers in registers, probed; a multiply-add counts two.
  public var operationsPerSecond: Double
}

extension InstructionSet {
  /// What it multiplies activations in f32, in bf16 and as bytes with.
  ///
  /// - Precondition: It is supported.
  public func products() -> [ProductInstruction] {
    let names: [(ActivationPrecision, String)] = [(.f32, floats), (.bf16, halves), (.int8, bytes)]
    return names.map { precision, name in
      let rate = unsafe moe_probe_dots(moe_kernels_for(isa)!, precision.packed!)
      return ProductInstruction(precision: precision, name: name, operationsPerSecond: rate * 1e9)
    }
  }

  private var floats: String { self == .portable ? "mulps, addps" : "vfmadd231ps" }

  private var halves: String {
    switch self {
    case .avx512bf16: "vdpbf16ps"
    case .amx: "tdpbf16ps"
    default: "\(floats) of rounded inputs"
    }
  }

  private var bytes: String {
    switch self {
    case .portable: "imul"
    case .avx2, .avx512: "vpmaddwd"
    case .avxvnni, .avx512vnni, .avx512bf16: "vpdpbusd"
    case .amx: "tdpbsud; vpdpbusd for short segments and few rows"
    }
  }
}

/// The processor this program runs on.
public enum Processor {
  /// For example `AMD EPYC`.
  public static var model: String { unsafe text { unsafe moe_cpu_model($0, $1) } }

  /// Names of vector and matrix features, such as `avx2` and `amx_bf16`.
  public static var features: [String] {
    unsafe text { unsafe moe_cpu_features($0, $1) }.split(separator: " ").map(String.init)
  }

  /// A size of memory that the caches hold only a small part of.
  public static var uncachedByteCount: Int { max(1 << 28, 8 * sysconf(Int32(_SC_LEVEL3_CACHE_SIZE))) }

  private static func text(_ write: (UnsafeMutablePointer<CChar>, Int) -> Void) -> String {
    unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 1024) { buffer in
      unsafe write(buffer.baseAddress!, buffer.count)
      return unsafe String(cString: buffer.baseAddress!)
    }
  }
}
