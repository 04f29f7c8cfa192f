// swift-tools-version: 6.3
// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import PackageDescription

let package = Package(
  name: "QuickStart",
  dependencies: [
    // Elsewhere: .package(url: "https://github.com/swift-moe/swift-moe", from: "0.1.0")
    .package(name: "swift-moe", path: "../..")
  ],
  targets: [
    .executableTarget(name: "QuickStart", dependencies: [.product(name: "MoE", package: "swift-moe")])
  ]
)
