// swift-tools-version: 6.3
// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import PackageDescription

// A package of its own, so that nothing of it is built by who uses the libraries. `scripts/fuzz` builds and runs it.
let package = Package(
  name: "Fuzz",
  dependencies: [.package(name: "swift-moe", path: "..")],
  targets: [
    .executableTarget(
      name: "Fuzz",
      dependencies: [
        .product(name: "MoE", package: "swift-moe"), .product(name: "Checkpoints", package: "swift-moe"),
        .product(name: "Tensors", package: "swift-moe"),
      ],
      swiftSettings: [.unsafeFlags(["-parse-as-library", "-sanitize=fuzzer"])],
      linkerSettings: [.unsafeFlags(["-sanitize=fuzzer"])])
  ],
  swiftLanguageModes: [.v6]
)
