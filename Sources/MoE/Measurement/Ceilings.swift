// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import CMoEKernels
internal import Tensors

/// What this machine can do at most, measured in this process on the same threads.
public struct Ceilings: Sendable, Hashable {
  /// Bytes per second read from main memory.
  public var bytesPerSecond: Double
  /// 32-bit floating-point operations per second; a fused multiply-add counts two.
  public var operationsPerSecond: Double

  /// Keeps the higher of two measurements.
  public mutating func raise(to other: Ceilings) {
    bytesPerSecond = max(bytesPerSecond, other.bytesPerSecond)
    operationsPerSecond = max(operationsPerSecond, other.operationsPerSecond)
  }

  /// Reads `byteCount` bytes of fresh memory and multiplies in registers, for about a second.
  ///
  /// - Throws: `outOfMemory`.
  public static func measure(
    on backend: CPUBackend, byteCount: Int = 1 << 30
  ) throws(MoEError) -> Ceilings {
    let memory: AlignedBuffer
    do throws(AllocationError) {
      memory = try AlignedBuffer(byteCount: byteCount, contents: .uninitialized, hugePages: true)
    } catch {
      throw MoEError(error.faults)
    }
    unsafe memory.bytes.initializeMemory(as: UInt8.self, repeating: 1)
    let kernels = unsafe moe_kernels_for(backend.instructionSet.isa)!
    let read = unsafe moe_measure_read(backend.pool.handle, kernels, memory.bytes.baseAddress!, Int64(byteCount))
    let multiply = unsafe moe_measure_fma(backend.pool.handle, kernels)
    return Ceilings(bytesPerSecond: read * 1e9, operationsPerSecond: multiply * 1e9)
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
