// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import CMoEInterface
internal import Glibc
internal import MoE

@c @implementation
public func moe_abi_version() -> UInt32 { UInt32(MOE_ABI_VERSION) }

@c @implementation
public func moe_version() -> UnsafePointer<CChar> { unsafe versionText }

/// Lives as long as the process.
nonisolated(unsafe) private let versionText = unsafe UnsafePointer(strdup(packageVersion)!)

@c @implementation
public func moe_string_free(_ text: UnsafeMutablePointer<CChar>?) { unsafe free(text) }
