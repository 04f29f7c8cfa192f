// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// The version of the package.
package let packageVersion = "0.1.0"
