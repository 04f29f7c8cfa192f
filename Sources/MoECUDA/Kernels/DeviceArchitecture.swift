// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import MoE

/// A generation of devices that machine code is made for, for example `sm_90a`.
public struct DeviceArchitecture: Sendable, Hashable, CustomStringConvertible {
  public let description: String
  /// 10 · major + minor of the compute capability.
  public let capability: Int

  /// Whether it has the instructions that the kernels for Hopper are made of.
  var isHopper: Bool { description == "sm_90a" }

  /// The oldest that the kernels run on.
  static let oldest = 80

  /// Machine code for devices of this compute capability. Hopper's is made with the instructions that only it has.
  ///
  /// - Throws: `unsupportedByBackend` for a device that is too old.
  public init(major: Int, minor: Int) throws(MoEError) {
    capability = 10 * major + minor
    description = "sm_\(capability)" + (capability == 90 ? "a" : "")
    guard capability >= Self.oldest else {
      throw MoEError(
        .unsupportedByBackend, "the device is too old", expected: "compute capability 8.0 or later",
        found: "\(major).\(minor)")
    }
  }

  /// - Throws: `invalidArgument` for a name that is none.
  public init(named name: String) throws(MoEError) {
    let digits = name.dropFirst(3).prefix { $0.isNumber }
    guard name.hasPrefix("sm_"), let capability = Int(digits), capability >= Self.oldest,
      ["", "a"].contains(name.dropFirst(3 + digits.count))
    else {
      throw MoEError(
        .invalidArgument, "no architecture that there are kernels for", expected: "sm_80 or later", found: name)
    }
    self.capability = capability
    description = name
  }
}
