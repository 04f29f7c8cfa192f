// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import MoE
import MoECUDA
import MoEInspection
import Tensors

/// What measures ``Ceilings``.
protocol CeilingMeasuring {
  var ceilings: Ceilings { get }
  func measure() throws(MoEError)
}

extension CeilingMeter: CeilingMeasuring {}
extension CUDACeilingMeter: CeilingMeasuring {}

/// A backend that `moe bench` measures: the time of its calls as shares of what its machine can do.
protocol TimedBackend: Backend {
  var activations: ActivationPrecision { get }
  /// The type of a model's hidden states beside experts in this precision: f32 or bf16.
  var hiddenType: ElementType { get }
  /// `forward` with hidden states and output in `hiddenType`.
  func timedForward(
    _ storage: Storage, hidden: Buffer, ids: Buffer, weights: Buffer, tokenCount: Int, topK: Int, into output: Buffer,
    on queue: Queue
  ) throws(MoEError)
  /// Bytes of which no cache holds enough to count.
  func uncachedByteCount() throws(MoEError) -> Int
  /// Of the ceilings of experts like these.
  func makeMeter(for specification: LayerSpecification) throws(MoEError) -> any CeilingMeasuring
  /// What computes, for a header, and the same for JSON.
  func machine() throws(MoEError) -> (text: String, fields: [String: JSONValue])
  /// The seconds of calls, at least one for each batch, by batch; or in one list where all are timed together. `call` does the
  /// one of a number, with the batch of number mod `batches`, in the order of `queue`.
  func times(
    ofBatches batches: Int, atLeast seconds: Double, on queue: Queue, _ call: (Int) throws(MoEError) -> Void
  ) throws(MoEError) -> [[Double]]
}

extension TimedBackend {
  var hiddenType: ElementType { .f32 }

  func timedForward(
    _ storage: Storage, hidden: Buffer, ids: Buffer, weights: Buffer, tokenCount: Int, topK: Int, into output: Buffer,
    on queue: Queue
  ) throws(MoEError) {
    try forward(
      storage, hidden: hidden, ids: ids, weights: weights, tokenCount: tokenCount, topK: topK, into: output, on: queue)
  }
}

extension CPUBackend: TimedBackend {
  func uncachedByteCount() -> Int { Processor.uncachedByteCount }

  func makeMeter(for specification: LayerSpecification) throws(MoEError) -> any CeilingMeasuring {
    try CeilingMeter(self, for: specification)
  }

  func machine() -> (text: String, fields: [String: JSONValue]) {
    (
      "\(pool.threadCount) thread(s), \(instructionSet.rawValue), \(Processor.model)",
      [
        "threads": .integer(pool.threadCount), "instruction_set": .string(instructionSet.rawValue),
        "processor": .string(Processor.model),
      ]
    )
  }

  func times(
    ofBatches batches: Int, atLeast seconds: Double, on queue: Queue, _ call: (Int) throws(MoEError) -> Void
  ) throws(MoEError) -> [[Double]] {
    var times = [[Double]](repeating: [], count: batches)
    let end = now() + seconds
    // The first call finds cold caches and makes the workspace.
    try call(0)
    var index = 1
    while index <= batches || now() < end {
      let start = now()
      try call(index)
      times[index % batches].append(now() - start)
      index += 1
    }
    return times
  }
}

extension CUDABackend: TimedBackend {
  /// The most calls that are captured as one graph, so that neither launches nor the wait for the end count, and the
  /// seconds that are enough for that.
  private static var captured: (most: Int, seconds: Double) { (32, 0.05) }

  var hiddenType: ElementType { [.bf16, .fp8].contains(activations) ? .bf16 : .f32 }

  func timedForward(
    _ storage: CUDAStorage, hidden: CUDABuffer, ids: CUDABuffer, weights: CUDABuffer, tokenCount: Int, topK: Int,
    into output: CUDABuffer, on queue: CUDAQueue
  ) throws(MoEError) {
    try forward(
      storage, hidden: hidden, hiddenType, ids: ids, weights: weights, tokenCount: tokenCount, topK: topK, into: output,
      hiddenType, on: queue)
  }

  func uncachedByteCount() throws(MoEError) -> Int { try 8 * device().cacheBytes }

  func makeMeter(for specification: LayerSpecification) throws(MoEError) -> any CeilingMeasuring {
    try CUDACeilingMeter(self)
  }

  func machine() throws(MoEError) -> (text: String, fields: [String: JSONValue]) {
    let device = try device()
    return (
      "cuda:\(ordinal), \(device.name), \(device.architecture)",
      [
        "device": .string(device.name), "architecture": .string("\(device.architecture)"),
        "multiprocessors": .integer(device.multiprocessors),
      ]
    )
  }

  func times(
    ofBatches batches: Int, atLeast seconds: Double, on queue: CUDAQueue, _ call: (Int) throws(MoEError) -> Void
  ) throws(MoEError) -> [[Double]] {
    // Outside of the graph, for kernels and scratch memory, and to see how long a call takes.
    try call(0)
    try queue.synchronize()
    let first = now()
    try call(0)
    try queue.synchronize()
    let count = max(4, min(Self.captured.most, Int(Self.captured.seconds / (now() - first))))
    let graph = try queue.capture { () throws(MoEError) in for index in 0..<count { try call(index) } }
    var times: [Double] = []
    let end = now() + seconds
    while times.count < 6 || now() < end {
      let start = now()
      try graph.launch(on: queue)
      try queue.synchronize()
      times.append((now() - start) / Double(count))
    }
    return [Array(times.dropFirst())]
  }
}
