// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import ArgumentParser
import Checkpoints
import MoE
import MoECUDA
import MoEInspection

/// Kernels of devices.
struct Kernels: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Make the kernels of the cuda backend ahead of time.",
    discussion: """
      The cuda backend compiles its kernels when they are first needed, and keeps them. Where there is no compiler, \
      bring those that were made elsewhere: set MOE_KERNEL_CACHE to their folder.
      """,
    subcommands: [Build.self])
}

extension Kernels {
  struct Build: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Compile all kernels for an architecture, without a GPU; needs NVRTC.")

    @Option(help: ArgumentHelp("The architecture: sm_80 or later, sm_90a for Hopper.", valueName: "name"))
    var arch: String

    @Option(
      name: .shortAndLong, help: ArgumentHelp("The folder of the kernels.", valueName: "folder"),
      completion: .directory)
    var output: String

    @Flag(help: "Print one JSON object.")
    var json = false

    func run() throws {
      let architecture = try DeviceArchitecture(named: arch)
      let start = now()
      let made = try KernelCache(folder: output).load(
        KernelSource.all(for: architecture), for: architecture, by: NVRTC.available, isPortable: true)
      let seconds = now() - start
      let files = made.sorted { $0.key.title < $1.key.title }
      if json {
        print(object(architecture, files, seconds).serialized(pretty: true))
      } else {
        print(text(files, seconds))
      }
    }

    private func kernels(
      _ files: [(key: KernelSource, value: [UInt8])]
    ) -> [(file: String, name: String, resources: Cubin.Resources)] {
      files.flatMap { source, cubin in
        (Cubin(cubin)?.kernels ?? [:]).sorted { $0.key < $1.key }.map { (source.title, $0.key, $0.value) }
      }
    }

    private func text(_ files: [(key: KernelSource, value: [UInt8])], _ seconds: Double) -> String {
      var table = TextTable(["file", "kernel", "registers", "stack bytes"], leftAligned: [0, 1])
      for (file, name, resources) in kernels(files) {
        table.append([file, name, "\(resources.registers)", "\(resources.stack)"])
      }
      return "\(table.text)\n\n\(files.count) files for \(arch) in \(output), \(Format.fixed(seconds, 1)) s"
    }

    private func object(
      _ architecture: DeviceArchitecture, _ files: [(key: KernelSource, value: [UInt8])], _ seconds: Double
    ) -> JSONValue {
      [
        "schema": 1, "command": "kernels build", "architecture": .string("\(architecture)"),
        "folder": .string(output), "seconds": .number(seconds), "files": .integer(files.count),
        "kernels": .array(
          kernels(files).map { file, name, resources in
            [
              "file": .string(file), "kernel": .string(name), "registers": .integer(resources.registers),
              "stack_bytes": .integer(resources.stack),
            ]
          }),
      ]
    }
  }
}
