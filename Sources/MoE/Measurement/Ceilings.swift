// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import CMoEKernels
internal import Tensors

/// What this machine can do at most, measured in this process on the same threads.
public struct Ceilings: Sendable, Hashable {
  /// Bytes per second read from main memory.
  public var bytesPerSecond: Double
  /// Operations per second (a multiply-add counts two) of what multiplies the weights by activations of the backend's
  /// precision: of fp32, bf16, bytes, or three products of bytes for one.
  public var operationsPerSecond: Double

  public init(bytesPerSecond: Double, operationsPerSecond: Double) {
    self.bytesPerSecond = bytesPerSecond
    self.operationsPerSecond = operationsPerSecond
  }
}

/// Measures ``Ceilings``, as often as one likes, and keeps the highest: a disturbance makes a reading only too low.
///
/// ```swift
/// let meter = try CeilingMeter(backend, for: specification)
/// meter.measure()         // before, between and after what is compared with them
/// meter.ceilings.bytesPerSecond
/// ```
@safe
public final class CeilingMeter {
  public private(set) var ceilings = Ceilings(bytesPerSecond: 0, operationsPerSecond: 0)
  private let backend: CPUBackend
  private let form: moe_form
  private let memory: AlignedBuffer

  /// - Parameters:
  ///   - backend: What is measured, on its threads.
  ///   - specification: The experts that are compared with them: what multiplies depends on their weights.
  /// - Throws: `unsupportedByBackend` for experts without kernels, `outOfMemory` when there is no room for memory larger than the caches.
  public init(_ backend: CPUBackend, for specification: LayerSpecification) throws(MoEError) {
    self.backend = backend
    form = try specification.packedLayout().up.form
    do throws(AllocationError) {
      memory = try AlignedBuffer(
        byteCount: Processor.uncachedByteCount, contents: .uninitialized, hugePages: true)
    } catch {
      throw MoEError(error.faults)
    }
    unsafe memory.bytes.initializeMemory(as: UInt8.self, repeating: 1)
  }

  /// Reads the memory in several ways and multiplies in registers, for less than a second.
  public func measure() {
    let kernels = unsafe moe_kernels_for(backend.instructionSet.isa)!
    let read = unsafe moe_measure_read(
      backend.pool.handle, kernels, memory.bytes.baseAddress!, Int64(memory.byteCount))
    let multiply = unsafe withUnsafePointer(to: form) {
      unsafe moe_measure_dots(backend.pool.handle, kernels, $0, backend.activations.packed ?? .f32)
    }
    ceilings.bytesPerSecond = max(ceilings.bytesPerSecond, read * 1e9)
    ceilings.operationsPerSecond = max(ceilings.operationsPerSecond, multiply * 1e9)
  }
}

/// The work of one call of the routed experts: what a roofline is drawn from.
public struct Workload: Sendable, Hashable {
  /// Bytes of the experts that the call touches, each once.
  public var bytes: Int
  /// Floating-point operations.
  public var operations: Int

  public init(bytes: Int, operations: Int) {
    self.bytes = bytes
    self.operations = operations
  }

  public init(_ routing: Routing, layout: Layout) {
    let routed = routing.ids.filter { $0 >= 0 }
    bytes = Set(routed).count * layout.bytesPerExpert
    operations = routed.count * 2 * layout.specification.parametersPerExpert
  }

  /// The shortest time that the ceilings allow, in seconds.
  public func floor(_ ceilings: Ceilings) -> Double {
    max(Double(bytes) / ceilings.bytesPerSecond, Double(operations) / ceilings.operationsPerSecond)
  }
}
