// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import CMoEInterface
internal import Glibc
internal import MoE
internal import MoECUDA
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
    let name = unsafe try optionalText(options.backend, "backend") ?? "cpu"
    let precision = unsafe try optionalText(options.activations, "activations").map { (text) throws(MoEError) in
      guard let precision = ActivationPrecision(rawValue: text) else {
        throw MoEError(
          .invalidArgument, "unknown precision", subject: "activations",
          expected: ActivationPrecision.allCases.map(\.rawValue).joined(separator: ", "), found: text)
      }
      return precision
    }
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
    _ name: String, threads: Int, _ activations: ActivationPrecision?
  ) throws(MoEError) -> any Backend {
    switch name {
    case "cpu": return try Backends.shared.backend(.cpu(threads: threadCount(threads)), activations ?? .f32)
    case "reference": return ReferenceBackend(activations: activations ?? .f32)
    default:
      guard let ordinal = CUDABackend.ordinal(named: name) else {
        throw MoEError(
          .unsupportedByBackend, "unknown backend", subject: "backend", expected: "cpu, reference or cuda[:N]",
          found: name)
      }
      return try Backends.shared.backend(.cuda(ordinal: ordinal), activations ?? .bf16)
    }
  }

  private static func threadCount(_ asked: Int) throws(MoEError) -> Int {
    guard asked == 0 else { return asked }
    guard let text = unsafe getenv("MOE_THREADS").map({ unsafe String(cString: $0) }), !text.isEmpty else {
      return WorkerPool.availableProcessors
    }
    guard let count = Int(text) else {
      throw MoEError(
        .invalidArgument, "no number of threads", subject: "MOE_THREADS", expected: "\(Backends.threadCounts)",
        found: text)
    }
    return count
  }
}
