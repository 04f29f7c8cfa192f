// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

package import CAccelerators
internal import Glibc
package import MoE
public import Tensors

extension Fault.Code {
  /// A call of a device's driver or compiler failed.
  public static let device = Self(rawValue: "device")
}

/// The functions of the CUDA driver, found at run time: nothing of CUDA is needed to build or to start this program.
@safe
public final class CUDADriver: @unchecked Sendable {
  private let functions: moe_cuda_driver

  /// The driver of this machine.
  package static let shared: Result<CUDADriver, MoEError> = Result { () throws(MoEError) -> CUDADriver in
    try CUDADriver()
  }

  /// - Parameter functions: those of a library, or of something that behaves as one.
  package init(_ functions: moe_cuda_driver) { self.functions = functions }

  static let libraryNames = ["libcuda.so.1", "libcuda.so"]

  private convenience init() throws(MoEError) {
    guard let library = unsafe Self.libraryNames.lazy.compactMap({ unsafe dlopen($0, RTLD_NOW | RTLD_LOCAL) }).first
    else {
      throw MoEError(
        .device, "there is no CUDA driver on this machine", expected: Self.libraryNames[0],
        remedy: "install NVIDIA's driver, or use --backend cpu")
    }
    let functions = UnsafeMutablePointer<moe_cuda_driver>.allocate(capacity: 1)
    defer { unsafe functions.deallocate() }
    if let missing = unsafe moe_cuda_driver_load(library, functions) {
      throw unsafe MoEError(
        .device, "the CUDA driver is too old", expected: "a driver of CUDA 12 or later",
        found: "no \(String(cString: missing))")
    }
    unsafe self.init(functions.pointee)
    try call("cuInit") { $0.`init`(0) }
  }

  /// Calls a function of the driver.
  ///
  /// - Parameter name: what it is called in the driver's manual, for the error.
  /// - Throws: `outOfMemory` where that is the reason, else `device`, with the driver's words.
  package func call(_ name: @autoclosure () -> String, _ body: (moe_cuda_driver) -> Int32) throws(MoEError) {
    let result = body(functions)
    guard result != MOE_CU_SUCCESS else { return }
    throw MoEError(
      result == MOE_CU_OUT_OF_MEMORY ? .outOfMemory : .device, "\(name()) failed", found: text(of: result))
  }

  /// For example `CUDA_ERROR_INVALID_VALUE (invalid argument)`.
  private func text(of result: Int32) -> String {
    var (name, words): (UnsafePointer<CChar>?, UnsafePointer<CChar>?) = (nil, nil)
    _ = unsafe functions.error_name(result, &name)
    _ = unsafe functions.error_text(result, &words)
    let known = unsafe name.map { unsafe String(cString: $0) } ?? "error \(result)"
    return unsafe words.map { unsafe "\(known) (\(String(cString: $0)))" } ?? known
  }

  /// For example `13.0`: the newest CUDA that the driver knows.
  package func version() throws(MoEError) -> String {
    var version: Int32 = 0
    try call("cuDriverGetVersion") { unsafe $0.driver_version(&version) }
    return "\(version / 1000).\(version % 1000 / 10)"
  }

  package func deviceCount() throws(MoEError) -> Int {
    var count: Int32 = 0
    try call("cuDeviceGetCount") { unsafe $0.device_count(&count) }
    return Int(count)
  }
}
