// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import CAccelerators
internal import Checkpoints
package import MoE
internal import Synchronization
internal import Tensors

/// One GPU: its context, its kernels, and what was measured of it.
///
/// The context is the device's primary one, which other libraries of the process share. It stays until the process ends.
@safe
public final class CUDADevice: @unchecked Sendable {
  public let ordinal: Int
  /// For example `NVIDIA H200`.
  public let name: String
  public let architecture: DeviceArchitecture
  public let multiprocessors: Int
  /// Bytes of its memory, and of its last cache.
  public let memoryBytes: Int
  public let cacheBytes: Int
  let driver: CUDADriver
  private let context: moe_cu_context
  private let compiler: Result<any KernelCompiler, MoEError>
  private let cache: KernelCache
  private let loaded = Mutex<Loaded>(Loaded())
  /// Small arrays that calls need again and again, such as the biases of routers.
  private let constants = Mutex<[[Float]: CUDABuffer]>([:])
  let staging = StagingPool()

  @safe
  private struct Loaded: @unchecked Sendable {
    var modules: [String: moe_cu_module] = unsafe [:]
    var functions: [Kernel: moe_cu_function] = unsafe [:]
  }

  /// Opens a device of this machine.
  convenience init(ordinal: Int = 0) throws(MoEError) {
    let driver = try CUDADriver.shared.get()
    try self.init(
      ordinal: ordinal, driver: driver, compiler: NVRTC.available, cache: .standard)
  }

  package init(
    ordinal: Int, driver: CUDADriver, compiler: Result<any KernelCompiler, MoEError>, cache: KernelCache
  ) throws(MoEError) {
    let count = try driver.deviceCount()
    guard (0..<count).contains(ordinal) else {
      throw MoEError(
        .device, "there is no such CUDA device", expected: count == 0 ? "a device" : "0..<\(count)", found: "\(ordinal)"
      )
    }
    var handle: moe_cu_device = 0
    try driver.call("cuDeviceGet") { unsafe $0.device(&handle, Int32(ordinal)) }
    func attribute(_ which: Int) throws(MoEError) -> Int {
      var value: Int32 = 0
      try driver.call("cuDeviceGetAttribute") { unsafe $0.device_attribute(&value, Int32(which), handle) }
      return Int(value)
    }
    var name = [CChar](repeating: 0, count: 256)
    try driver.call("cuDeviceGetName") { unsafe $0.device_name(&name, Int32(name.count), handle) }
    self.name = String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    architecture = try DeviceArchitecture(
      major: attribute(MOE_CU_COMPUTE_MAJOR), minor: attribute(MOE_CU_COMPUTE_MINOR))
    multiprocessors = try attribute(MOE_CU_MULTIPROCESSOR_COUNT)
    cacheBytes = try attribute(MOE_CU_L2_BYTES)
    var context: moe_cu_context?
    try driver.call("cuDevicePrimaryCtxRetain") { unsafe $0.retain_context(&context, handle) }
    unsafe self.context = context!
    let (current, made) = unsafe (driver, context!)
    try current.call("cuCtxSetCurrent") { unsafe $0.set_context(made) }
    var (free, total) = (0, 0)
    try driver.call("cuMemGetInfo") { unsafe $0.memory_info(&free, &total) }
    memoryBytes = total
    self.ordinal = ordinal
    self.driver = driver
    self.compiler = compiler
    self.cache = cache
  }

  /// Calls a function of the driver in this device's context.
  func call(_ name: @autoclosure () -> String, _ body: (moe_cuda_driver) -> Int32) throws(MoEError) {
    let context = unsafe self.context
    try driver.call("cuCtxSetCurrent") { unsafe $0.set_context(context) }
    try driver.call(name(), body)
  }

  /// Bytes of memory that are free.
  func freeBytes() throws(MoEError) -> Int {
    var (free, total) = (0, 0)
    try call("cuMemGetInfo") { unsafe $0.memory_info(&free, &total) }
    return free
  }

  /// An array that is uploaded when it is first asked for, and stays. It is there for every queue when this returns.
  func constant(_ values: [Float]) throws(MoEError) -> CUDABuffer {
    if let buffer = constants.withLock({ $0[values] }) { return buffer }
    let buffer = try CUDABuffer(byteCount: max(values.count, 1) * 4, on: self)
    try staging.lend(on: self) { (staging) throws(MoEError) in
      try unsafe values.span.bytes.withUnsafeBytes { (bytes) throws(MoEError) in
        try unsafe buffer.upload(bytes, on: staging.queue)
      }
      try staging.queue.synchronize()
    }
    constants.withLock { $0[values] = buffer }
    return buffer
  }
}

// MARK: - Kernels

extension CUDADevice {
  /// Makes all kernels ready that layers of any form of weights launch, compiling those that are in no cache: later loads find
  /// them. On Hopper those of activations other than SiLU are left to the layers that have them.
  ///
  /// - Returns: the number of files.
  package func warm() throws(MoEError) -> Int {
    let kernels = Kernel.all(for: architecture)
    try load(kernels)
    return KernelSource.sources(of: kernels).count
  }

  /// Makes kernels ready, compiling those that are in no cache.
  func load(_ kernels: [Kernel]) throws(MoEError) {
    let there = loaded.withLock { unsafe Set($0.modules.keys) }
    let missing = KernelSource.sources(of: kernels.filter { !there.contains($0.source) })
    for (source, cubin) in try cache.load(missing, for: architecture, by: compiler) {
      var module: moe_cu_module?
      try unsafe cubin.span.bytes.withUnsafeBytes { (bytes) throws(MoEError) in
        let image = bytes.baseAddress!
        try call("cuModuleLoadData (\(source.title))") { unsafe $0.load_module(&module, image) }
      }
      let added = unsafe module!
      loaded.withLock { unsafe $0.modules[source.title] = added }
    }
  }

  func function(_ kernel: Kernel) throws(MoEError) -> moe_cu_function {
    if let function = unsafe loaded.withLock({ unsafe $0.functions[kernel] }) { return unsafe function }
    try load([kernel])
    let module = unsafe loaded.withLock { unsafe $0.modules[kernel.source]! }
    var function: moe_cu_function?
    try call("cuModuleGetFunction") { unsafe $0.function(&function, module, kernel.name) }
    let found = unsafe function!
    if kernel.sharedBytes > 0 {
      let attribute = Int32(MOE_CU_FUNCTION_MAX_DYNAMIC_SHARED_BYTES)
      try call("cuFuncSetAttribute") {
        unsafe $0.set_function_attribute(found, attribute, Int32(kernel.sharedBytes))
      }
    }
    loaded.withLock { unsafe $0.functions[kernel] = found }
    return unsafe found
  }
}
