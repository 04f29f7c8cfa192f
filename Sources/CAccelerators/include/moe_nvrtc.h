// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#ifndef MOE_NVRTC_H
#define MOE_NVRTC_H

#include "moe_functions.h"

#pragma clang assume_nonnull begin

typedef struct moe_nvrtc_program_s *moe_nvrtc_program;

// NVIDIA's run-time compiler, https://docs.nvidia.com/cuda/nvrtc. Every function returns 0 for success.
#define MOE_NVRTC(F)                                                                                            \
  F(version, nvrtcVersion, (int *major, int *minor))                                                            \
  F(create_program, nvrtcCreateProgram,                                                                         \
    (moe_nvrtc_program _Nullable *_Nonnull program, const char *source, const char *name, int header_count,              \
     const char *_Nullable const *_Nullable headers, const char *_Nullable const *_Nullable header_names))       \
  F(destroy_program, nvrtcDestroyProgram, (moe_nvrtc_program _Nullable *_Nonnull program))                               \
  F(compile_program, nvrtcCompileProgram,                                                                       \
    (moe_nvrtc_program program, int option_count, const char *_Nullable const *_Nullable options))              \
  F(log_size, nvrtcGetProgramLogSize, (moe_nvrtc_program program, size_t *size))                                \
  F(log, nvrtcGetProgramLog, (moe_nvrtc_program program, char *log))                                            \
  F(cubin_size, nvrtcGetCUBINSize, (moe_nvrtc_program program, size_t *size))                                   \
  F(cubin, nvrtcGetCUBIN, (moe_nvrtc_program program, char *cubin))

typedef struct moe_nvrtc {
  MOE_NVRTC(MOE_FUNCTION_FIELD)
} moe_nvrtc;

/// Fills the functions from a library that dlopen gave. Returns the first name that it has not, or null.
const char *_Nullable moe_nvrtc_load(void *library, moe_nvrtc *nvrtc);

#pragma clang assume_nonnull end

#endif
