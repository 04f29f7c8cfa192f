// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#include "include/moe_cuda.h"
#include "include/moe_nvrtc.h"
#include "include/moe_mpi.h"

#include <dlfcn.h>

const char *moe_find_functions(void *library, const char *const *names, size_t count, void *functions) {
  void **function = functions;
  for (size_t index = 0; index < count; index++) {
    function[index] = dlsym(library, names[index]);
    if (function[index] == NULL) return names[index];
  }
  return NULL;
}

#define MOE_COUNT(names) (sizeof(names) / sizeof((names)[0]))

const char *moe_cuda_driver_load(void *library, moe_cuda_driver *driver) {
  static const char *const names[] = {MOE_CUDA_DRIVER(MOE_FUNCTION_NAME)};
  _Static_assert(sizeof(moe_cuda_driver) == sizeof(void *) * MOE_COUNT(names), "only functions");
  return moe_find_functions(library, names, MOE_COUNT(names), driver);
}

const char *moe_nvrtc_load(void *library, moe_nvrtc *nvrtc) {
  static const char *const names[] = {MOE_NVRTC(MOE_FUNCTION_NAME)};
  _Static_assert(sizeof(moe_nvrtc) == sizeof(void *) * MOE_COUNT(names), "only functions");
  return moe_find_functions(library, names, MOE_COUNT(names), nvrtc);
}

const char *moe_mpi_load(void *library, moe_mpi *mpi) {
  static const char *const names[] = {MOE_MPI(MOE_FUNCTION_NAME)};
  _Static_assert(sizeof(moe_mpi) == sizeof(void *) * MOE_COUNT(names), "only functions");
  return moe_find_functions(library, names, MOE_COUNT(names), mpi);
}
