// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import ArgumentParser
import Checkpoints
import Glibc
import MoE
import MoECUDA
import MoEInspection
import Tensors

/// What this machine offers, and what of it is used.
struct Doctor: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show what was found of this machine: processor, threads, memory, accelerators.")

  @OptionGroup var options: BackendOptions

  @Flag(help: "Compile all kernels of this machine's GPUs that are in no cache yet, so that no layer waits for them.")
  var warm = false

  @Flag(help: "Print one JSON object.")
  var json = false

  func run() throws {
    let sets = InstructionSet.allCases.filter(\.isSupported).map { (name: $0.rawValue, products: $0.products()) }
    let usable = sets.map(\.name)
    let chosen = try BackendOptions.instructionSet()
    let threads = try options.workers.count()
    let topology = try ThreadOptions.topology()
    let memory = Self.memory()
    let libraries: [(what: String, state: String)] =
      [("CUDA", Self.devices()), ("NVRTC", Self.compiler())] + (warm ? [("kernels", try Self.warmed())] : [])
      + Self.libraries.map { ($0.what, Self.state(of: $0.names, $0.use)) }
    if json {
      var object: [String: JSONValue] = [
        "schema": 1, "command": "doctor", "version": .string(Moe.configuration.version),
        "processor": .string(Processor.model), "features": .array(Processor.features.map { .string($0) }),
        "instruction_sets": .array(usable.map { .string($0) }), "instruction_set": .string(chosen.rawValue),
        "products": .object(Dictionary(uniqueKeysWithValues: sets.map { ($0.name, Self.object($0.products)) })),
        "processors": .integer(WorkerPool.availableProcessors), "threads": .integer(threads),
        "nodes": .array(topology.nodes.map { .array($0.map { .integer($0) }) }),
        "memory_bytes": .integer(memory.total), "memory_available_bytes": .integer(memory.available),
      ]
      for (what, state) in libraries { object[what.lowercased()] = .string(state) }
      print(JSONValue.object(object).serialized(pretty: true))
      return
    }
    var table = TextTable(["", ""], leftAligned: [0, 1])
    table.append(["version", Moe.configuration.version])
    table.append(["processor", Processor.model])
    table.append(["features", Processor.features.joined(separator: " ")])
    let forced = environment("MOE_ISA") == nil ? "the fastest; MOE_ISA forces another" : "by MOE_ISA"
    table.append(["instructions", "\(chosen.rawValue) (\(forced); usable: \(usable.joined(separator: ", ")))"])
    let reason =
      options.workers.threads != nil
      ? "by --threads" : environment("MOE_THREADS") != nil ? "by MOE_THREADS" : "one for each"
    table.append(["threads", "\(threads) on \(WorkerPool.availableProcessors) processor(s) (\(reason))"])
    let nodes = environment("MOE_TOPOLOGY") == nil ? "" : " (pretended by MOE_TOPOLOGY)"
    table.append(["nodes", "\(topology.nodes.map(\.ranges).joined(separator: "; "))\(nodes)"])
    table.append(["memory", "\(Format.bytes(memory.available)) available of \(Format.bytes(memory.total))"])
    table.append(["huge pages", Self.hugePages()])
    for (what, state) in libraries { table.append([what, state]) }
    print(table.text.drop { $0.isNewline })
    print("\nWhat multiplies, by the precision of activations, in GFLOP/s of one processor (probed):\n")
    print(Self.text(sets))
  }

  private static func text(_ sets: [(name: String, products: [ProductInstruction])]) -> String {
    var table = TextTable(["", "", "GFLOP/s", ""], leftAligned: [0, 1, 3])
    for set in sets {
      for (index, product) in set.products.enumerated() {
        table.append([
          index == 0 ? set.name : "", product.precision.rawValue, Format.short(product.operationsPerSecond / 1e9),
          product.name,
        ])
      }
    }
    return table.text
  }

  private static func object(_ products: [ProductInstruction]) -> JSONValue {
    .object(
      Dictionary(
        uniqueKeysWithValues: products.map {
          (
            $0.precision.rawValue,
            ["instruction": .string($0.name), "operations_per_second": .number($0.operationsPerSecond)]
          )
        }))
  }

  /// Libraries that are found at run time, and what this version uses them for.
  private static let libraries: [(what: String, names: [String], use: String)] = [
    ("NCCL", ["libnccl.so.2"], "not used by this version"),
    ("MPI", ["libmpi.so.40", "libmpich.so.12", "libmpi.so.12"], "used under mpirun"),
  ]

  /// The devices of `--backend cuda:N`, or why there are none.
  private static func devices() -> String {
    do throws(MoEError) {
      let driver = try CUDADriver.shared.get()
      var texts: [String] = []
      let count = try driver.deviceCount()
      for ordinal in 0..<count {
        let device = try CUDABackend(ordinal: ordinal).device()
        texts.append(
          "cuda:\(ordinal) \(device.name), \(device.architecture), \(device.multiprocessors) multiprocessors, "
            + Format.bytes(device.memoryBytes))
      }
      let version = try driver.version()
      return (texts.isEmpty ? ["no device"] : texts).joined(separator: "; ") + "; driver of CUDA \(version)"
    } catch {
      return error.faults.map(\.description).joined(separator: "; ")
    }
  }

  /// What was done for `--warm`.
  private static func warmed() throws(MoEError) -> String {
    var texts: [String] = []
    for ordinal in 0..<(try CUDADriver.shared.get().deviceCount()) {
      let device = try CUDABackend(ordinal: ordinal).device()
      let start = now()
      let count = try device.warm()
      texts.append("cuda:\(ordinal) \(count) files ready in \(Format.fixed(now() - start, 2)) s")
    }
    guard !texts.isEmpty else { throw MoEError(.device, "there is no CUDA device to compile kernels for") }
    return texts.joined(separator: "; ")
  }

  private static func compiler() -> String {
    switch NVRTC.shared {
    case .success(let compiler): "\(compiler.identity), \(compiler.path); kernels in \(KernelCache.standard.folder)"
    case .failure(let error): error.faults.map(\.description).joined(separator: "; ")
    }
  }

  private static func state(of names: [String], _ use: String) -> String {
    for name in names {
      guard let handle = unsafe dlopen(name, RTLD_LAZY | RTLD_LOCAL) else { continue }
      unsafe dlclose(handle)
      return "\(name) found; \(use)"
    }
    return "not found (\(names.joined(separator: ", "))); \(use)"
  }

  private static func memory() -> (total: Int, available: Int) {
    let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    return (Int(sysconf(Int32(_SC_PHYS_PAGES))) * page, Int(sysconf(Int32(_SC_AVPHYS_PAGES))) * page)
  }

  private static func hugePages() -> String {
    guard let file = unsafe fopen("/sys/kernel/mm/transparent_hugepage/enabled", "r") else { return "not offered" }
    defer { _ = unsafe fclose(file) }
    // For example `always [madvise] never`.
    let text = unsafe String(unsafeUninitializedCapacity: 128) { unsafe fread($0.baseAddress, 1, $0.count, file) }
    let choice = text.split(whereSeparator: \.isWhitespace).first { $0.hasPrefix("[") }
    return choice.map { "transparent, \($0.dropFirst().dropLast())" } ?? "unknown"
  }
}
