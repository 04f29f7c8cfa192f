// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Glibc
internal import MoE
internal import MoECUDA
internal import Synchronization
internal import Tensors

/// The CPU backends in use: layers with the same number of threads share one, with its workers and its scratch memory.
final class CPUBackends: Sendable {
  static let shared = CPUBackends()
  static let threadCounts = 1...4096

  private struct Key: Hashable {
    var threads: Int
    var activations: ActivationPrecision
  }

  private let backends = Mutex<[Key: CPUBackend]>([:])

  func backend(threads: Int, _ activations: ActivationPrecision) throws(MoEError) -> CPUBackend {
    guard Self.threadCounts.contains(threads) else {
      throw MoEError(
        .invalidArgument, "no number of threads", subject: "threads", expected: "\(Self.threadCounts)",
        found: "\(threads)")
    }
    let found = backends.withLock { backends -> CPUBackend? in
      let key = Key(threads: threads, activations: activations)
      if let backend = backends[key] { return backend }
      let pool = threads == WorkerPool.shared.threadCount ? WorkerPool.shared : WorkerPool(threads: threads)
      backends[key] = pool.map { CPUBackend(pool: $0, instructionSet: Self.instructionSet, activations: activations) }
      return backends[key]
    }
    guard let found else {
      throw MoEError(.outOfMemory, "the system does not start \(threads) threads", remedy: "ask for fewer threads")
    }
    return found
  }

  /// That of `MOE_ISA` where this processor has it, else the widest.
  private static var instructionSet: InstructionSet {
    let asked = unsafe getenv("MOE_ISA").flatMap { InstructionSet(rawValue: unsafe String(cString: $0)) }
    return asked.flatMap { $0.isSupported ? $0 : nil } ?? .best
  }
}

/// The GPUs in use: layers with the same precision share a device's kernels and its queue. Nothing is opened before it is needed.
final class CUDABackends: Sendable {
  static let shared = CUDABackends()

  private struct Key: Hashable {
    var ordinal: Int
    var activations: ActivationPrecision
  }

  private let backends = Mutex<[Key: CUDABackend]>([:])

  func backend(ordinal: Int, _ activations: ActivationPrecision) -> CUDABackend {
    backends.withLock { backends in
      let key = Key(ordinal: ordinal, activations: activations)
      let backend = backends[key] ?? CUDABackend(ordinal: ordinal, activations: activations)
      backends[key] = backend
      return backend
    }
  }
}
