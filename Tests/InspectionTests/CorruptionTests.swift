// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Testing
