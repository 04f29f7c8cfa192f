// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import CAccelerators
internal import Glibc
internal import MoE

/// An MPI library that was found at run time, of either family: Open MPI's handles are the addresses of objects that it
/// exports, MPICH's are numbers.
@safe
struct MPILibrary: @unchecked Sendable {
  let functions: moe_mpi
  let world: moe_mpi_handle
  let byteType: moe_mpi_handle
  private let errorsReturn: moe_mpi_handle

  /// Files by family, the most usual first.
  static let names: [Launcher.Family: [String]] = [
    .openMPI: ["libmpi.so.40", "libmpi.so"],
    .mpich: ["libmpich.so.12", "libmpi.so.12", "libmpi.so"],
  ]

  /// Opens the library of a family.
  ///
  /// - Throws: `communication` when there is none, with the names that were tried.
  init(_ family: Launcher.Family) throws(MoEError) {
    // Open MPI's plugins look for its symbols among the global ones.
    let candidates = Self.names[family]!
    guard let handle = unsafe candidates.lazy.compactMap({ unsafe dlopen($0, RTLD_NOW | RTLD_GLOBAL) }).first else {
      throw MoEError(
        .communication, "no MPI library was found", expected: candidates.joined(separator: " or "),
        remedy: "install \(family.rawValue), or add its folder to LD_LIBRARY_PATH")
    }
    let table = UnsafeMutablePointer<moe_mpi>.allocate(capacity: 1)
    defer { unsafe table.deallocate() }
    if let missing = unsafe moe_mpi_load(handle, table) {
      throw MoEError(.communication, "the MPI library has no \(unsafe String(cString: missing))")
    }
    functions = unsafe table.pointee
    func address(_ name: String) -> moe_mpi_handle? {
      unsafe dlsym(handle, name).map { moe_mpi_handle(UInt(bitPattern: $0)) }
    }
    if let world = address("ompi_mpi_comm_world"), let byte = address("ompi_mpi_byte"),
      let errors = address("ompi_mpi_errors_return")
    {
      (self.world, byteType, errorsReturn) = (world, byte, errors)
    } else {
      (world, byteType, errorsReturn) = (0x4400_0000, 0x4c00_010d, 0x5400_0001)
    }
  }

  /// Starts MPI: errors become results, and calls may come from any thread, one at a time.
  func start() throws(MoEError) {
    var provided: Int32 = 0
    try unsafe check(functions.init_thread(nil, nil, Int32(MOE_MPI_THREAD_SERIALIZED), &provided), "MPI_Init_thread")
    try check(functions.comm_set_errhandler(world, errorsReturn), "MPI_Comm_set_errhandler")
  }

  /// - Throws: `communication` with the library's own words.
  func check(_ code: Int32, _ call: String) throws(MoEError) {
    guard code != 0 else { return }
    var length: Int32 = 0
    let text = unsafe Self.text { unsafe functions.error_string(code, $0, &length) }
    throw MoEError(.communication, "\(call) failed", found: text.isEmpty ? "error \(code)" : text)
  }

  /// "Open MPI v4.1.4, …"
  var version: String {
    var length: Int32 = 0
    let text = unsafe Self.text { unsafe functions.get_library_version($0, &length) }
    return text.prefix { $0 != "\n" && $0 != "," }.split(whereSeparator: \.isWhitespace).joined(separator: " ")
  }

  private static func text(_ fill: (UnsafeMutablePointer<CChar>) -> Int32) -> String {
    var bytes = [CChar](repeating: 0, count: Int(MOE_MPI_TEXT))
    let code = unsafe bytes.withUnsafeMutableBufferPointer { bytes in unsafe fill(bytes.baseAddress!) }
    guard code == 0 else { return "" }
    return String(decoding: bytes.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
