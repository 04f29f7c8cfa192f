// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#ifndef MOE_KERNEL_SOURCES_H
#define MOE_KERNEL_SOURCES_H

#include <stddef.h>

#pragma clang assume_nonnull begin

/// A file of CUDA C++ in this library.
typedef struct moe_kernel_source {
  /// Its name, as in an #include.
  const char *name;
  /// Its text, which ends with a zero.
  const char *text;
} moe_kernel_source;

/// All kernels and the headers that they include.
const moe_kernel_source *moe_kernel_sources(size_t *count);

#pragma clang assume_nonnull end

#endif
