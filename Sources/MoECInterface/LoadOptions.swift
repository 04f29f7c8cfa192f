// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import CMoEInterface
internal import Glibc
internal import MoE
internal import Synchronization
internal import Tensors

/// `moe_load_options`, read and checked.
struct LoadOptions: Sendable {
  let backend: any Backend
  let weightType: WeightType?
  let grid: ParallelLayout
  let expertsOnly: Bool

  /// - Parameter pointer: null for the defaults.
  /// - Throws: what is no option.
  init(_ pointer: UnsafePointer<moe_load_options>?) throws(MoEError) {
    let options = unsafe pointer == nil ? moe_load_options() : try unsafe structure(pointer, "options")
    let activations = unsafe try optionalText(options.activations, "activations") ?? "f32"
    guard let precision = ActivationPrecision(rawValue: activations) else {
      throw MoEError(
        .invalidArgument, "unknown precision", subject: "activations",
        expected: ActivationPrecision.allCases.map(\.rawValue).joined(separator: ", "), found: activations)
    }
    let name = unsafe try optionalText(options.backend, "backend") ?? "cpu"
    backend = try Self.backend(name, threads: unsafe Int(options.threads), precision)
    weightType = try unsafe optionalText(options.weight_type, "weight_type").map { (name) throws(MoEError) in
      try WeightType(parsing: name)
    }
    func size(_ value: Int32) -> Int { value == 0 ? 1 : Int(value) }
    grid = try unsafe ParallelLayout(
      tensorParallel: size(options.tensor_parallel), expertParallel: size(options.expert_parallel),
      rank: Int(options.rank))
    expertsOnly = unsafe options.experts_only != 0
  }

  private static func backend(
    _ name: String, threads: Int, _ activations: ActivationPrecision
  ) throws(MoEError) -> any Backend {
    switch name {
    case "cpu": return try CPUBackends.shared.backend(threads: threadCount(threads), activations)
    case "reference": return ReferenceBackend(activations: activations)
    default:
      throw MoEError(
        .unsupportedByBackend, "unknown backend", subject: "backend", expected: "cpu or reference", found: name)
    }
  }

  private static func threadCount(_ asked: Int) throws(MoEError) -> Int {
    guard asked == 0 else { return asked }
    guard let text = unsafe getenv("MOE_THREADS").map({ unsafe String(cString: $0) }), !text.isEmpty else {
      return WorkerPool.availableProcessors
    }
    guard let count = Int(text) else {
      throw MoEError(
        .invalidArgument, "no number of threads", subject: "MOE_THREADS", expected: "\(CPUBackends.threadCounts)",
        found: text)
    }
    return count
  }
}

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
