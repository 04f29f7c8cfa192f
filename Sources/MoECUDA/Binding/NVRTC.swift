// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import CAccelerators
internal import Glibc
package import MoE
internal import Tensors

/// What turns a file of CUDA C++ into machine code.
package protocol KernelCompiler: Sendable {
  /// Name and version, for example `nvrtc13.0`: part of the name of what is kept.
  var identity: String { get }

  /// - Returns: a cubin.
  func compile(_ source: KernelSource, for architecture: DeviceArchitecture) throws(MoEError) -> [UInt8]
}

/// NVIDIA's run-time compiler, wherever it is found.
@safe
package final class NVRTC: KernelCompiler, @unchecked Sendable {
  private let functions: moe_nvrtc
  package let identity: String
  /// Where it is.
  package let path: String

  /// The compiler of this machine.
  package static let shared: Result<NVRTC, MoEError> = Result { () throws(MoEError) -> NVRTC in try NVRTC() }

  /// The same for whoever takes any compiler.
  package static var available: Result<any KernelCompiler, MoEError> { shared.map { $0 as any KernelCompiler } }

  private init() throws(MoEError) {
    var found: (path: String, library: UnsafeMutableRawPointer)?
    for candidate in Self.candidates {
      unsafe found = unsafe Self.open(candidate).map { unsafe (candidate, $0) }
      if unsafe found != nil { break }
    }
    guard let (path, library) = unsafe found else {
      throw MoEError(
        .device, "NVRTC, the CUDA compiler, is not on this machine",
        expected: "libnvrtc.so in the loader's path, in MOE_NVRTC, in /usr/local/cuda, or as a Python package",
        remedy: "pip install nvidia-cuda-nvrtc, or make the kernels elsewhere by 'moe kernels build'")
    }
    let functions = UnsafeMutablePointer<moe_nvrtc>.allocate(capacity: 1)
    defer { unsafe functions.deallocate() }
    if let missing = unsafe moe_nvrtc_load(library, functions) {
      throw unsafe MoEError(
        .device, "this NVRTC is too old", file: path, expected: "CUDA 12 or later",
        found: "no \(String(cString: missing))")
    }
    var (major, minor): (Int32, Int32) = (0, 0)
    guard unsafe functions.pointee.version(&major, &minor) == 0 else {
      throw MoEError(.device, "nvrtcVersion failed", file: path)
    }
    unsafe self.functions = functions.pointee
    identity = "nvrtc\(major).\(minor)"
    self.path = path
  }

  package func compile(_ source: KernelSource, for architecture: DeviceArchitecture) throws(MoEError) -> [UInt8] {
    var program: moe_nvrtc_program?
    defer { if unsafe program != nil { _ = unsafe functions.destroy_program(&program) } }
    let headers = KernelSource.headers
    let created = unsafe Self.withTexts(headers.map(\.text)) { texts in
      unsafe Self.withTexts(headers.map(\.name)) { names in
        unsafe functions.create_program(&program, source.text, source.name, Int32(headers.count), texts, names)
      }
    }
    guard created == 0, let program = unsafe program else {
      throw MoEError(.device, "nvrtcCreateProgram failed", subject: source.name, found: "error \(created)")
    }
    let options = source.options(for: architecture)
    let status = unsafe Self.withTexts(options) { unsafe functions.compile_program(program, Int32(options.count), $0) }
    guard status == 0 else {
      throw MoEError(
        .device, "the kernel does not compile for \(architecture)", subject: source.title,
        found: unsafe log(of: program)
      )
    }
    var size = 0
    guard unsafe functions.cubin_size(program, &size) == 0, size > 0 else {
      throw MoEError(.device, "nvrtcGetCUBINSize failed", subject: source.name)
    }
    var cubin = [UInt8](repeating: 0, count: size)
    let copied = unsafe cubin.withUnsafeMutableBytes { bytes in
      unsafe functions.cubin(program, bytes.baseAddress!.assumingMemoryBound(to: CChar.self))
    }
    guard copied == 0 else { throw MoEError(.device, "nvrtcGetCUBIN failed", subject: source.name) }
    return cubin
  }

  private func log(of program: moe_nvrtc_program) -> String {
    var size = 0
    guard unsafe functions.log_size(program, &size) == 0, size > 1 else { return "no log" }
    return unsafe String(unsafeUninitializedCapacity: size) { buffer in
      unsafe buffer.withMemoryRebound(to: CChar.self) { text in
        unsafe functions.log(program, text.baseAddress!) == 0 ? size - 1 : 0
      }
    }
  }

  private static func withTexts(
    _ texts: [String], _ body: (UnsafePointer<UnsafePointer<CChar>?>) -> Int32
  ) -> Int32 {
    let copies = unsafe texts.map { unsafe strdup($0) }
    defer { unsafe copies.forEach { unsafe free($0) } }
    return unsafe copies.map { unsafe UnsafePointer($0) }.withUnsafeBufferPointer { unsafe body($0.baseAddress!) }
  }
}

// MARK: - Finding it

extension NVRTC {
  private static let names = ["libnvrtc.so.13", "libnvrtc.so.12"]

  /// Paths, or names for the loader to find, in the order of trying.
  private static var candidates: [String] {
    let folders = unsafe [getenv("MOE_NVRTC")].compactMap { unsafe $0.map { unsafe String(cString: $0) } }
    let inFolders = { (folders: [String]) in folders.flatMap { folder in names.map { "\(folder)/\($0)" } } }
    return inFolders(folders) + names + inFolders(pythonFolders + toolkitFolders)
  }

  private static var toolkitFolders: [String] {
    matches("/usr/local/cuda/lib64") + matches("/usr/local/cuda/targets/*/lib") + matches("/usr/local/cuda-*/lib64")
  }

  /// Where pip puts NVIDIA's packages: below every Python of the search path.
  private static var pythonFolders: [String] {
    let path = unsafe getenv("PATH").map { unsafe String(cString: $0) } ?? ""
    let home = unsafe getenv("HOME").map { unsafe String(cString: $0) } ?? ""
    var roots = path.split(separator: ":").filter { $0.hasSuffix("/bin") }.map { String($0.dropLast(4)) }
    roots.append("\(home)/.local")
    return roots.flatMap { root in
      ["cu13", "cuda_nvrtc"].flatMap { matches("\(root)/lib/python3*/*-packages/nvidia/\($0)/lib") }
    }
  }

  private static func matches(_ pattern: String) -> [String] {
    var found = unsafe glob_t()
    defer { unsafe globfree(&found) }
    guard unsafe glob(pattern, 0, nil, &found) == 0 else { return [] }
    return unsafe (0..<Int(found.gl_pathc)).compactMap { unsafe found.gl_pathv[$0].map { unsafe String(cString: $0) } }
  }

  /// Opens a library, and before it its built-in functions, which it doesn't find by itself outside of the loader's path.
  private static func open(_ candidate: String) -> UnsafeMutableRawPointer? {
    if let slash = candidate.lastIndex(of: "/") {
      for builtins in matches("\(candidate[..<slash])/libnvrtc-builtins.so.*") {
        if unsafe dlopen(builtins, RTLD_NOW | RTLD_GLOBAL) != nil { break }
      }
    }
    return unsafe dlopen(candidate, RTLD_NOW | RTLD_LOCAL)
  }
}
