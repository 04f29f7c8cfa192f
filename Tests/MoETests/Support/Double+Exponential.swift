// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Foundation

extension Double {
  /// e to the power of this.
  var exponential: Double { exp(self) }
}
