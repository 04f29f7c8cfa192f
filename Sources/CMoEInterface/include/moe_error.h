// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#ifndef MOE_ERROR_H
#define MOE_ERROR_H

#pragma clang assume_nonnull begin

/// Keeps a copy of `text` as what `moe_last_error` says on this thread.
void moe_error_set(const char *text);

#pragma clang assume_nonnull end

#endif
