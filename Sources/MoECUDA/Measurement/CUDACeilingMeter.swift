// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import CAccelerators
internal import Glibc
public import MoE

/// Measures the ceilings of a device, as often as one likes, and keeps the highest.
///
/// Memory is read by all multiprocessors, 1 GiB at a time. With activations in bf16, and in fp8 on Hopper, the operations are
/// those of the matrix units (wgmma on Hopper, else mma), else fused multiply-adds of 32 bits, which is what multiplies all
/// others.
///
/// ```swift
/// let meter = try CUDACeilingMeter(CUDABackend(ordinal: 0))
/// try meter.measure()
/// meter.ceilings.bytesPerSecond
/// ```
public final class CUDACeilingMeter {
  public private(set) var ceilings = Ceilings(bytesPerSecond: 0, operationsPerSecond: 0)
  private let queue: CUDAQueue
  private let memory: CUDABuffer
  private let kernel: Kernel
  private let operations: Int

  /// - Throws: `outOfMemory` where there is no room for 1 GiB.
  public init(_ backend: CUDABackend) throws(MoEError) {
    let device = try backend.device()
    (kernel, operations) =
      switch backend.activations {
      case .bf16: (.measureBF16, MOE_MEASURE_BF16_OPERATIONS)
      case .fp8 where device.architecture.isHopper: (.measureE4M3, MOE_MEASURE_E4M3_OPERATIONS)
      default: (.measureF32, MOE_MEASURE_F32_OPERATIONS)
      }
    try device.load([.measureRead])
    queue = try CUDAQueue(on: device)
    memory = try CUDABuffer(byteCount: 1 << 30, on: device)
    try queue.fill(memory.address, 0, byteCount: memory.byteCount)
    try queue.synchronize()
  }

  /// Takes about a tenth of a second.
  public func measure() throws(MoEError) {
    var arguments = moe_measure_arguments()
    (arguments.memory, arguments.output) = (memory.address, memory.address)
    arguments.words = Int64(memory.byteCount / 16)
    let blocks = 4 * queue.device.multiprocessors
    for _ in 0..<3 {
      let seconds = try time(of: 16) { () throws(MoEError) in try queue.launch(.measureRead, x: blocks, arguments) }
      ceilings.bytesPerSecond = max(ceilings.bytesPerSecond, Double(16 * memory.byteCount) / seconds)
    }
    arguments.rounds = 2000
    for _ in 0..<3 {
      let seconds = try time(of: 2) { () throws(MoEError) in try queue.launch(kernel, x: blocks, arguments) }
      let done = Double(2 * blocks) * Double(operations) * Double(arguments.rounds)
      ceilings.operationsPerSecond = max(ceilings.operationsPerSecond, done / seconds)
    }
  }

  private func time(of count: Int, _ launch: () throws(MoEError) -> Void) throws(MoEError) -> Double {
    func now() -> Double {
      var time = timespec()
      unsafe clock_gettime(CLOCK_MONOTONIC, &time)
      return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }
    try launch()
    try queue.synchronize()
    let start = now()
    for _ in 0..<count { try launch() }
    try queue.synchronize()
    return now() - start
  }
}
