// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#ifndef MOE_FUNCTIONS_H
#define MOE_FUNCTIONS_H

#include <stddef.h>

#pragma clang assume_nonnull begin

// A library's functions are declared once, as a list F(field, symbol, parameters) of them: it becomes a struct of function
// pointers and an array of names, in the same order.

#define MOE_FUNCTION_FIELD(field, symbol, parameters) int (*field) parameters;
#define MOE_FUNCTION_NAME(field, symbol, parameters) #symbol,

/// Fills a struct of function pointers from a library that dlopen gave.
///
/// Returns the first name that the library has not, or null.
const char *_Nullable moe_find_functions(void *library, const char *_Nonnull const *_Nonnull names, size_t count,
                                         void *functions);

#pragma clang assume_nonnull end

#endif
