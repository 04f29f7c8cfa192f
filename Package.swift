// swift-tools-version: 6.3
// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import PackageDescription

let features: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"),  // SE-0335: `any` is written where a call is dynamic.
  .enableUpcomingFeature("MemberImportVisibility"),  // SE-0444: no member leaks in through another file's import.
  .enableUpcomingFeature("InternalImportsByDefault"),  // SE-0409: dependencies stay out of the public interface.
]
// SE-0458: every unsafe operation is marked where it stands.
let swiftSettings = features + [.strictMemorySafety()]

let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")

// MOE_KERNELS=portable leaves out the kernels of single instruction sets, which are half of a build: for builds whose
// concern isn't what they compute, such as the fuzzers'.
let isPortable = Context.environment["MOE_KERNELS"] == "portable"
let instructionSets = ["avx2", "avxvnni", "avx512", "avx512vnni", "avx512bf16", "amx"]

let package = Package(
  name: "swift-moe",
  products: [
    .library(name: "Tensors", targets: ["Tensors"]),
    .library(name: "Checkpoints", targets: ["Checkpoints"]),
    .library(name: "MoE", targets: ["MoE"]),
    .library(name: "MoECUDA", targets: ["MoECUDA"]),
    .library(name: "MoEDistributed", targets: ["MoEDistributed"]),
    .library(name: "MoEInspection", targets: ["MoEInspection"]),
    // The objects of libmoe.so: scripts/library links them.
    .library(name: "MoECInterface", type: .static, targets: ["MoECInterface"]),
    .executable(name: "moe", targets: ["MoECommand"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0")
  ],
  targets: [
    .target(name: "Tensors", swiftSettings: swiftSettings),
    .target(name: "Checkpoints", dependencies: ["Tensors"], swiftSettings: swiftSettings),
    .target(
      name: "CMoEKernels", exclude: isPortable ? instructionSets.map { "kernels_\($0).c" } : [],
      cSettings: isPortable ? [.define("MOE_PORTABLE")] : []),
    .target(name: "MoE", dependencies: ["Tensors", "Checkpoints", "CMoEKernels"], swiftSettings: swiftSettings),
    .target(
      name: "MoECUDA", dependencies: ["MoE", "Checkpoints", "Tensors", "CAccelerators"], swiftSettings: swiftSettings),
    .target(name: "CAccelerators", exclude: ["kernels", "portable"]),
    .target(
      name: "MoEDistributed", dependencies: ["MoE", "Checkpoints", "Tensors", "CAccelerators"],
      swiftSettings: swiftSettings),
    .target(name: "MoEInspection", dependencies: ["MoE", "Checkpoints", "Tensors"], swiftSettings: swiftSettings),
    .target(name: "CMoEInterface"),
    .target(
      name: "MoECInterface",
      dependencies: ["CMoEInterface", "MoECUDA", "MoEInspection", "MoE", "Checkpoints", "Tensors"],
      swiftSettings: swiftSettings),
    .executableTarget(
      name: "MoECommand",
      dependencies: [
        "MoECUDA", "MoEDistributed", "MoEInspection", "MoE", "Checkpoints", "Tensors", "CMoEKernels", argumentParser,
      ],
      swiftSettings: swiftSettings),

    // What is fuzzed, by FuzzTests and by scripts/fuzz.
    .target(
      name: "FuzzTargets", dependencies: ["MoE", "Checkpoints", "Tensors"], path: "Tests/FuzzTargets",
      exclude: ["Corpus"], swiftSettings: swiftSettings),
    .target(name: "TestSupport", path: "Tests/TestSupport", swiftSettings: swiftSettings),

    .testTarget(name: "TensorsTests", dependencies: ["MoE", "Tensors"], swiftSettings: swiftSettings),
    .testTarget(
      name: "CheckpointsTests", dependencies: ["TestSupport", "MoE", "Checkpoints", "Tensors"],
      swiftSettings: swiftSettings),
    .testTarget(
      name: "FuzzTests", dependencies: ["FuzzTargets", "TestSupport", "MoE", "Checkpoints", "Tensors"],
      swiftSettings: swiftSettings),
    .testTarget(name: "KernelTests", dependencies: ["CMoEKernels", "EmulatedTiles"], swiftSettings: swiftSettings),
    .target(name: "EmulatedTiles", dependencies: ["CMoEKernels"], path: "Tests/EmulatedTiles"),
    .testTarget(
      name: "MoETests",
      dependencies: ["RankCheck", "TestSupport", "MoEDistributed", "MoEInspection", "MoE", "Checkpoints", "Tensors"],
      swiftSettings: swiftSettings),
    .testTarget(
      name: "MoECUDATests", dependencies: ["MoECUDA", "MoE", "Checkpoints", "Tensors", "CAccelerators"],
      swiftSettings: swiftSettings),
    // All of it calls C.
    .testTarget(
      name: "MoECInterfaceTests", dependencies: ["MoECInterface", "CMoEInterface", "MoE", "Checkpoints", "Tensors"],
      swiftSettings: features),
    .testTarget(
      name: "InspectionTests", dependencies: ["TestSupport", "MoEInspection", "MoE", "Checkpoints", "Tensors"],
      swiftSettings: swiftSettings),
    .testTarget(
      name: "CommandTests", dependencies: ["MoECommand", "MoE", "Checkpoints", "Tensors"], swiftSettings: swiftSettings
    ),
    .executableTarget(
      name: "RankCheck", dependencies: ["MoEDistributed", "MoE", "Checkpoints", "Tensors"], path: "Tests/RankCheck",
      swiftSettings: swiftSettings),
    .executableTarget(
      name: "DeviceCheck", dependencies: ["MoECUDA", "MoE", "Checkpoints", "Tensors"], path: "Tests/DeviceCheck",
      swiftSettings: swiftSettings),
  ],
  swiftLanguageModes: [.v6],
  cLanguageStandard: .c17
)
