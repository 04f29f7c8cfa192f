// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import CAccelerators
public import MoE

/// An order of execution on a device: a stream, and the scratch memory of what runs in it.
///
/// One thread at a time uses a queue. Scratch memory grows when a call needs more, and never while a graph is captured.
@safe
public final class CUDAQueue {
  let device: CUDADevice
  let stream: moe_cu_stream
  private var scratch: CUDABuffer?
  private var isCapturing = false

  init(on device: CUDADevice) throws(MoEError) {
    var stream: moe_cu_stream?
    try device.call("cuStreamCreate") { unsafe $0.create_stream(&stream, UInt32(MOE_CU_STREAM_NON_BLOCKING)) }
    self.device = device
    unsafe self.stream = stream!
  }

  deinit {
    let stream = unsafe stream
    try? device.call("cuStreamSynchronize") { unsafe $0.synchronize_stream(stream) }
    try? device.call("cuStreamDestroy") { unsafe $0.destroy_stream(stream) }
  }

  /// Waits until everything has run.
  ///
  /// - Throws: `device` with the first failure of anything that ran.
  public func synchronize() throws(MoEError) {
    let stream = unsafe stream
    try device.call("cuStreamSynchronize") { unsafe $0.synchronize_stream(stream) }
  }

  /// Memory of at least so many bytes, whose content is of no meaning.
  func scratch(byteCount: Int) throws(MoEError) -> CUDABuffer {
    if let scratch, scratch.byteCount >= byteCount { return scratch }
    guard !isCapturing else {
      throw MoEError(
        .invalidArgument, "a graph is captured of calls that need more scratch memory",
        expected: "at most \(scratch?.byteCount ?? 0) bytes", found: "\(byteCount)",
        remedy: "run the calls once before they are captured")
    }
    // The old one first: both need not fit.
    scratch = nil
    let grown = try CUDABuffer(byteCount: byteCount, on: device)
    scratch = grown
    return grown
  }

  /// Fills memory with a byte.
  func fill(_ address: UInt64, _ value: UInt8, byteCount: Int) throws(MoEError) {
    let stream = unsafe stream
    try device.call("cuMemsetD8Async") { unsafe $0.fill_bytes(address, value, byteCount, stream) }
  }

  /// Runs a kernel that takes one struct.
  func launch<Arguments: BitwiseCopyable>(
    _ kernel: Kernel, x: Int, y: Int = 1, _ arguments: Arguments
  ) throws(MoEError) {
    guard x <= Int(Int32.max), y <= 65535 else {
      throw MoEError(.invalidArgument, "a batch is too large for the device", subject: kernel.rawValue)
    }
    let function = unsafe try device.function(kernel)
    var launch = unsafe moe_cu_launch(
      grid_x: UInt32(x), grid_y: UInt32(y), grid_z: 1, block_x: UInt32(kernel.threads), block_y: 1, block_z: 1,
      shared_bytes: 0, stream: stream, attributes: nil, attribute_count: 0)
    var arguments = arguments
    try unsafe withUnsafeMutablePointer(to: &arguments) { (pointer) throws(MoEError) in
      var parameters: UnsafeMutableRawPointer? = UnsafeMutableRawPointer(pointer)
      try device.call("the launch of \(kernel.rawValue)") {
        unsafe $0.launch(&launch, function, &parameters, nil)
      }
    }
  }
}

// MARK: - Graphs

/// Calls that were captured: they run again by one call, on the same buffers.
@safe
public final class CUDAGraph {
  private let device: CUDADevice
  private let executable: moe_cu_graph_exec

  fileprivate init(_ executable: moe_cu_graph_exec, on device: CUDADevice) {
    unsafe self.executable = executable
    self.device = device
  }

  deinit {
    let executable = unsafe executable
    try? device.call("cuGraphExecDestroy") { unsafe $0.destroy_executable_graph(executable) }
  }

  /// Runs the calls in the order of a queue.
  public func launch(on queue: CUDAQueue) throws(MoEError) {
    let (executable, stream) = unsafe (executable, queue.stream)
    try device.call("cuGraphLaunch") { unsafe $0.launch_graph(executable, stream) }
  }
}

extension CUDAQueue {
  /// Captures the calls of `body` on this queue instead of running them.
  ///
  /// Run them once before, so that kernels and scratch memory are there. Nothing in them may wait for the device.
  public func capture(_ body: () throws(MoEError) -> Void) throws(MoEError) -> CUDAGraph {
    let stream = unsafe stream
    try device.call("cuStreamBeginCapture") { unsafe $0.begin_capture(stream, Int32(MOE_CU_CAPTURE_RELAXED)) }
    isCapturing = true
    defer { isCapturing = false }
    var failure: MoEError?
    do throws(MoEError) { try body() } catch { failure = error }
    var graph: moe_cu_graph?
    do throws(MoEError) {
      try device.call("cuStreamEndCapture") { unsafe $0.end_capture(stream, &graph) }
    } catch {
      failure = failure ?? error
    }
    defer {
      if let graph = unsafe graph { try? device.call("cuGraphDestroy") { unsafe $0.destroy_graph(graph) } }
    }
    if let failure { throw failure }
    var executable: moe_cu_graph_exec?
    let captured = unsafe graph!
    try device.call("cuGraphInstantiate") { unsafe $0.instantiate_graph(&executable, captured, 0) }
    return unsafe CUDAGraph(executable!, on: device)
  }
}
