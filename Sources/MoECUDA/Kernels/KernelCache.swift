// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Checkpoints
internal import Glibc
package import MoE
internal import Tensors

/// Machine code of kernels in a folder, one file for each source, architecture and compiler.
///
/// | file | who made it |
/// |---|---|
/// | `portable-sort-sm_90a-0123456789abcdef.cubin` | `moe kernels build`, for machines without a compiler: it is taken before all others |
/// | `portable-sort-sm_90a-0123456789abcdef-nvrtc13.0.cubin` | this machine's compiler, when it was first needed |
///
/// The number is a digest of the source, its headers and the options, so a file never has to be thrown away. Files
/// appear whole or not at all.
package struct KernelCache: Sendable {
  package let folder: String

  package init(folder: String) { self.folder = folder }

  /// `MOE_KERNEL_CACHE`, or `swift-moe/kernels` in the user's cache folder.
  package static var standard: KernelCache {
    func variable(_ name: String) -> String? {
      unsafe getenv(name).map { unsafe String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
    }
    let caches = variable("XDG_CACHE_HOME") ?? "\(variable("HOME") ?? "/tmp")/.cache"
    return KernelCache(folder: variable("MOE_KERNEL_CACHE") ?? "\(caches)/swift-moe/kernels")
  }

  /// The file of a source.
  ///
  /// - Parameter compiler: nil for one that any machine may take.
  func path(of source: KernelSource, _ architecture: DeviceArchitecture, compiler: String?) -> String {
    let digest = String(source.digest(for: architecture), radix: 16)
    let padded = String(repeating: "0", count: 16 - digest.count) + digest
    let stem = source.name.split(separator: ".")[0].split(separator: "/").joined(separator: "-")
    return "\(folder)/\(stem)-\(architecture)-\(padded)" + (compiler.map { "-\($0)" } ?? "") + ".cubin"
  }

  /// Machine code that is there.
  private func find(_ source: KernelSource, _ architecture: DeviceArchitecture, _ compiler: String?) -> [UInt8]? {
    for name in compiler == nil ? [nil] : [nil, compiler] {
      let path = path(of: source, architecture, compiler: name)
      guard let bytes = try? RandomAccessFile.contents(of: path, limit: 1 << 28), Cubin.isWhole(bytes) else { continue }
      return bytes
    }
    return nil
  }

  /// Machine code of all of some sources, compiled side by side where it is not there yet.
  ///
  /// - Parameters:
  ///   - compiler: asked for only when something is missing.
  ///   - isPortable: names files so that any machine takes them.
  /// - Throws: the faults of all sources that don't compile.
  package func load(
    _ sources: [KernelSource], for architecture: DeviceArchitecture, by compiler: Result<any KernelCompiler, MoEError>,
    isPortable: Bool = false, pool: WorkerPool = .shared
  ) throws(MoEError) -> [KernelSource: [UInt8]] {
    let identity = isPortable ? nil : try? compiler.get().identity
    var loaded: [KernelSource: [UInt8]] = [:]
    for source in sources { loaded[source] = find(source, architecture, identity) }
    let missing = sources.filter { loaded[$0] == nil }
    guard !missing.isEmpty else { return loaded }
    let available = try compiler.get()
    try makeFolder()
    let made = try pool.tryMap(missing.count) { (index) throws(MoEError) in
      let cubin = try available.compile(missing[index], for: architecture)
      do throws(CheckpointError) {
        try AtomicFile.write(cubin, to: path(of: missing[index], architecture, compiler: identity))
      } catch {
        throw MoEError(error.faults)
      }
      return cubin
    }
    for (source, cubin) in zip(missing, made) { loaded[source] = cubin }
    return loaded
  }

  private func makeFolder() throws(MoEError) {
    var path = folder.hasPrefix("/") ? "" : "."
    for part in folder.split(separator: "/") {
      path += "/\(part)"
      guard unsafe mkdir(path, 0o755) != 0, errno != EEXIST else { continue }
      throw MoEError(
        .device, "the folder of kernels can't be made", file: path, found: unsafe String(cString: strerror(errno)),
        remedy: "set MOE_KERNEL_CACHE to a folder that can be written")
    }
  }
}
