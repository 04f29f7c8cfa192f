// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Glibc
internal import MoE
internal import MoECUDA
internal import Synchronization
internal import Tensors

/// The backends in use. Layers of the same processor and precision share one: its workers and scratch memory, or a GPU's kernels
/// and its queue. No GPU is opened before it is needed.
final class Backends: Sendable {
  static let shared = Backends()
  static let threadCounts = 1...4096

  enum Processor: Hashable {
    case cpu(threads: Int)
    case cuda(ordinal: Int)
  }

  private struct Key: Hashable {
    var processor: Processor
    var activations: ActivationPrecision
  }

  private let backends = Mutex<[Key: any Backend]>([:])

  /// - Throws: `invalidArgument` for a number of threads that is none, `outOfMemory` where the system does not start them.
  func backend(_ processor: Processor, _ activations: ActivationPrecision) throws(MoEError) -> any Backend {
    let result = backends.withLock { backends -> Result<any Backend, MoEError> in
      let key = Key(processor: processor, activations: activations)
      if let backend = backends[key] { return .success(backend) }
      return Result { () throws(MoEError) in try Self.make(processor, activations) }.map { backend in
        backends[key] = backend
        return backend
      }
    }
    return try result.get()
  }

  private static func make(
    _ processor: Processor, _ activations: ActivationPrecision
  ) throws(MoEError) -> any Backend {
    switch processor {
    case .cuda(let ordinal): return CUDABackend(ordinal: ordinal, activations: activations)
    case .cpu(let threads):
      guard threadCounts.contains(threads) else {
        throw MoEError(
          .invalidArgument, "no number of threads", subject: "threads", expected: "\(threadCounts)",
          found: "\(threads)")
      }
      guard
        let pool = threads == WorkerPool.shared.threadCount ? WorkerPool.shared : WorkerPool(threads: threads)
      else {
        throw MoEError(.outOfMemory, "the system does not start \(threads) threads", remedy: "ask for fewer threads")
      }
      return CPUBackend(pool: pool, instructionSet: instructionSet, activations: activations)
    }
  }

  /// That of `MOE_ISA` where this processor has it, else the widest.
  private static var instructionSet: InstructionSet {
    let asked = unsafe getenv("MOE_ISA").flatMap { InstructionSet(rawValue: unsafe String(cString: $0)) }
    return asked.flatMap { $0.isSupported ? $0 : nil } ?? .best
  }
}
