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
  /// A `moe_hopper_grid`.
  private var meetingPlace: CUDABuffer?
  /// What the calls that are being captured use; nil where none are captured.
  private var captured: CapturedMemory?

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
    guard captured == nil else { throw Self.unprepared("\(scratch?.byteCount ?? 0)", "\(byteCount)") }
    // The old one first: both need not fit.
    scratch = nil
    let grown = try CUDABuffer(byteCount: byteCount, on: device)
    scratch = grown
    return grown
  }

  private static func unprepared(_ found: String, _ needed: String) -> MoEError {
    MoEError(
      .invalidArgument, "a graph is captured of calls that need more scratch memory",
      expected: "at most \(found) bytes",
      found: needed, remedy: "run the calls once before they are captured")
  }

  /// Where blocks of a kernel in this queue wait for each other.
  func grid() throws(MoEError) -> CUDABuffer {
    if let meetingPlace { return meetingPlace }
    guard captured == nil else { throw Self.unprepared("\(0)", "\(MemoryLayout<moe_hopper_grid>.size)") }
    let made = try CUDABuffer(byteCount: MemoryLayout<moe_hopper_grid>.size, on: device)
    try fill(made.address, 0, byteCount: made.byteCount)
    meetingPlace = made
    return made
  }

  /// Keeps memory that a call uses until the call has run, and where it is captured, as long as it may run again.
  func keep(_ buffer: CUDABuffer?) {
    guard let captured, let buffer else { return }
    captured.buffers.append(buffer)
  }

  /// Calls `body` with host memory that a copy reads: a graph reads it again each time it runs, so it gets its own.
  func withSource<Value>(
    _ bytes: UnsafeRawBufferPointer, _ body: (UnsafeRawPointer) throws(MoEError) -> Value
  ) throws(MoEError) -> Value {
    guard let captured else { return try unsafe body(bytes.baseAddress!) }
    return try unsafe body(captured.copy(bytes))
  }

  /// Fills memory with a byte.
  func fill(_ address: UInt64, _ value: UInt8, byteCount: Int) throws(MoEError) {
    let stream = unsafe stream
    try device.call("cuMemsetD8Async") { unsafe $0.fill_bytes(address, value, byteCount, stream) }
  }

  /// Runs a kernel that takes tensor maps, perhaps none, and one struct.
  func launch<Arguments: BitwiseCopyable>(
    _ kernel: Kernel, x: Int, y: Int = 1, maps: [TensorMap] = [], _ arguments: Arguments, options: LaunchOptions = []
  ) throws(MoEError) {
    guard x <= Int(Int32.max), y <= 65535 else {
      throw MoEError(.invalidArgument, "a batch is too large for the device", subject: kernel.name)
    }
    let function = unsafe try device.function(kernel)
    let stream = unsafe stream
    var (arguments, maps, attributes) = (arguments, maps, options.attributes)
    try unsafe withUnsafeMutablePointer(to: &arguments) { (structure) throws(MoEError) in
      try unsafe maps.withUnsafeMutableBufferPointer { (maps) throws(MoEError) in
        try unsafe attributes.withUnsafeMutableBufferPointer { (attributes) throws(MoEError) in
          var parameters = unsafe maps.indices.map { unsafe UnsafeMutableRawPointer?(maps.baseAddress! + $0) }
          unsafe parameters.append(UnsafeMutableRawPointer(structure))
          var launch = unsafe moe_cu_launch(
            grid_x: UInt32(x), grid_y: UInt32(y), grid_z: 1, block_x: UInt32(kernel.threads), block_y: 1, block_z: 1,
            shared_bytes: UInt32(kernel.sharedBytes), stream: stream, attributes: attributes.baseAddress,
            attribute_count: UInt32(attributes.count))
          try device.call("the launch of \(kernel.source)") {
            unsafe $0.launch(&launch, function, &parameters, nil)
          }
        }
      }
    }
  }
}

/// How a kernel is launched.
struct LaunchOptions: OptionSet {
  let rawValue: Int32

  /// It may start before the kernel ahead of it has ended, and waits for it by itself.
  static let overlaps = Self(rawValue: 1)
  /// Its blocks wait for each other, so all of them must run at once.
  static let meets = Self(rawValue: 2)

  /// The driver's words for it.
  fileprivate var attributes: [moe_cu_launch_attribute] {
    [(Self.overlaps, MOE_CU_ATTRIBUTE_PROGRAMMATIC_SERIALIZATION), (.meets, MOE_CU_ATTRIBUTE_COOPERATIVE)]
      .filter { contains($0.0) }.map { _, identifier in
        var attribute = moe_cu_launch_attribute()
        attribute.identifier = Int32(identifier)
        attribute.value.0 = 1
        return attribute
      }
  }
}

// MARK: - Graphs

/// What captured calls read and write beside the buffers that they were given.
@safe
private final class CapturedMemory {
  var buffers: [CUDABuffer] = []
  private var copies: [UnsafeMutableRawPointer] = unsafe []

  func copy(_ bytes: UnsafeRawBufferPointer) -> UnsafeRawPointer {
    let copy = UnsafeMutableRawPointer.allocate(byteCount: bytes.count, alignment: 16)
    unsafe copy.copyMemory(from: bytes.baseAddress!, byteCount: bytes.count)
    unsafe copies.append(copy)
    return UnsafeRawPointer(copy)
  }

  deinit { unsafe copies.forEach { unsafe $0.deallocate() } }
}

/// Calls that were captured: they run again by one call, on the same buffers.
@safe
public final class CUDAGraph {
  private let device: CUDADevice
  private let executable: moe_cu_graph_exec
  private let memory: CapturedMemory

  fileprivate init(_ executable: moe_cu_graph_exec, _ memory: CapturedMemory, on device: CUDADevice) {
    unsafe self.executable = executable
    self.memory = memory
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
    let memory = CapturedMemory()
    captured = memory
    defer { captured = nil }
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
    // Later calls may outgrow them.
    memory.buffers += [scratch, meetingPlace].compactMap(\.self)
    var executable: moe_cu_graph_exec?
    let captured = unsafe graph!
    try device.call("cuGraphInstantiate") { unsafe $0.instantiate_graph(&executable, captured, 0) }
    return unsafe CUDAGraph(executable!, memory, on: device)
  }
}
