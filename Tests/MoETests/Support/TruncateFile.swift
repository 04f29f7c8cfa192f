// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Glibc

func truncateFile(_ path: String, to length: Int) -> Int { unsafe Int(truncate(path, length)) }
