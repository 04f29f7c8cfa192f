// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#ifndef MOE_CUDA_H
#define MOE_CUDA_H

#include "moe_functions.h"

#include <stdint.h>

#pragma clang assume_nonnull begin

// What is used of the CUDA driver, https://docs.nvidia.com/cuda/cuda-driver-api: the same names, our own declarations.

typedef int moe_cu_device;
/// An address in device memory.
typedef uint64_t moe_cu_pointer;
typedef struct moe_cu_context_s *moe_cu_context;
typedef struct moe_cu_module_s *moe_cu_module;
typedef struct moe_cu_function_s *moe_cu_function;
typedef struct moe_cu_stream_s *moe_cu_stream;
typedef struct moe_cu_event_s *moe_cu_event;
typedef struct moe_cu_graph_s *moe_cu_graph;
typedef struct moe_cu_graph_exec_s *moe_cu_graph_exec;

enum {
  MOE_CU_SUCCESS = 0,
  MOE_CU_OUT_OF_MEMORY = 2,

  MOE_CU_MULTIPROCESSOR_COUNT = 16,
  MOE_CU_L2_BYTES = 38,
  MOE_CU_COMPUTE_MAJOR = 75,
  MOE_CU_COMPUTE_MINOR = 76,
  MOE_CU_SHARED_BYTES_OPTIN = 97,

  MOE_CU_FUNCTION_LOCAL_BYTES = 3,
  MOE_CU_FUNCTION_REGISTERS = 4,
  MOE_CU_FUNCTION_MAX_DYNAMIC_SHARED_BYTES = 8,

  MOE_CU_STREAM_NON_BLOCKING = 1,
  MOE_CU_CAPTURE_RELAXED = 2,

  MOE_CU_ATTRIBUTE_COOPERATIVE = 2,
  MOE_CU_ATTRIBUTE_PROGRAMMATIC_SERIALIZATION = 6,
};

/// The size of a CUtensorMap, what a bulk tensor copy reads, and the alignment that the driver wants (which Swift can't import).
enum { MOE_CU_TENSOR_MAP_BYTES = 128, MOE_CU_TENSOR_MAP_ALIGNMENT = 64 };

/// CUlaunchAttribute: the value is a union of 64 bytes.
typedef struct moe_cu_launch_attribute {
  int identifier;
  int padding;
  uint32_t value[16];
} moe_cu_launch_attribute;

/// CUlaunchConfig.
typedef struct moe_cu_launch {
  unsigned grid_x, grid_y, grid_z;
  unsigned block_x, block_y, block_z;
  unsigned shared_bytes;
  moe_cu_stream stream;
  moe_cu_launch_attribute *_Nullable attributes;
  unsigned attribute_count;
} moe_cu_launch;

#define MOE_CUDA_DRIVER(F)                                                                                       \
  F(init, cuInit, (unsigned flags))                                                                              \
  F(driver_version, cuDriverGetVersion, (int *version))                                                          \
  F(error_name, cuGetErrorName, (int error, const char *_Nullable *_Nonnull text))                               \
  F(error_text, cuGetErrorString, (int error, const char *_Nullable *_Nonnull text))                             \
  F(device_count, cuDeviceGetCount, (int *count))                                                                \
  F(device, cuDeviceGet, (moe_cu_device *device, int ordinal))                                                   \
  F(device_name, cuDeviceGetName, (char *name, int length, moe_cu_device device))                                \
  F(device_attribute, cuDeviceGetAttribute, (int *value, int attribute, moe_cu_device device))                   \
  F(retain_context, cuDevicePrimaryCtxRetain, (moe_cu_context _Nullable *_Nonnull context, moe_cu_device device)) \
  F(release_context, cuDevicePrimaryCtxRelease_v2, (moe_cu_device device))                                       \
  F(set_context, cuCtxSetCurrent, (moe_cu_context context))                                                      \
  F(memory_info, cuMemGetInfo_v2, (size_t *free, size_t *total))                                                 \
  F(allocate, cuMemAlloc_v2, (moe_cu_pointer *pointer, size_t bytes))                                            \
  F(free, cuMemFree_v2, (moe_cu_pointer pointer))                                                                \
  F(allocate_host, cuMemHostAlloc, (void *_Nullable *_Nonnull pointer, size_t bytes, unsigned flags))            \
  F(free_host, cuMemFreeHost, (void *pointer))                                                                   \
  F(copy_to_device, cuMemcpyHtoDAsync_v2,                                                                        \
    (moe_cu_pointer target, const void *source, size_t bytes, moe_cu_stream stream))                             \
  F(copy_to_host, cuMemcpyDtoHAsync_v2, (void *target, moe_cu_pointer source, size_t bytes, moe_cu_stream stream)) \
  F(fill_bytes, cuMemsetD8Async, (moe_cu_pointer target, unsigned char value, size_t bytes, moe_cu_stream stream)) \
  F(create_stream, cuStreamCreate, (moe_cu_stream _Nullable *_Nonnull stream, unsigned flags))                   \
  F(destroy_stream, cuStreamDestroy_v2, (moe_cu_stream stream))                                                  \
  F(synchronize_stream, cuStreamSynchronize, (moe_cu_stream stream))                                             \
  F(create_event, cuEventCreate, (moe_cu_event _Nullable *_Nonnull event, unsigned flags))                       \
  F(destroy_event, cuEventDestroy_v2, (moe_cu_event event))                                                      \
  F(record_event, cuEventRecord, (moe_cu_event event, moe_cu_stream stream))                                     \
  F(synchronize_event, cuEventSynchronize, (moe_cu_event event))                                                 \
  F(elapsed_time, cuEventElapsedTime, (float *milliseconds, moe_cu_event start, moe_cu_event end))               \
  F(load_module, cuModuleLoadData, (moe_cu_module _Nullable *_Nonnull module, const void *image))                \
  F(unload_module, cuModuleUnload, (moe_cu_module module))                                                       \
  F(function, cuModuleGetFunction,                                                                               \
    (moe_cu_function _Nullable *_Nonnull function, moe_cu_module module, const char *name))                      \
  F(function_attribute, cuFuncGetAttribute, (int *value, int attribute, moe_cu_function function))               \
  F(set_function_attribute, cuFuncSetAttribute, (moe_cu_function function, int attribute, int value))            \
  F(launch, cuLaunchKernelEx,                                                                                    \
    (const moe_cu_launch *launch, moe_cu_function function, void *_Nullable *_Nullable parameters,               \
     void *_Nullable *_Nullable extra))                                                                          \
  F(begin_capture, cuStreamBeginCapture_v2, (moe_cu_stream stream, int mode))                                    \
  F(end_capture, cuStreamEndCapture, (moe_cu_stream stream, moe_cu_graph _Nullable *_Nonnull graph))             \
  F(instantiate_graph, cuGraphInstantiateWithFlags,                                                              \
    (moe_cu_graph_exec _Nullable *_Nonnull executable, moe_cu_graph graph, unsigned long long flags))            \
  F(destroy_graph, cuGraphDestroy, (moe_cu_graph graph))                                                         \
  F(destroy_executable_graph, cuGraphExecDestroy, (moe_cu_graph_exec executable))                                \
  F(launch_graph, cuGraphLaunch, (moe_cu_graph_exec executable, moe_cu_stream stream))                           \
  F(encode_tensor_map, cuTensorMapEncodeTiled,                                                                   \
    (void *map, int element, uint32_t rank, moe_cu_pointer address, const uint64_t *sizes,          \
     const uint64_t *_Nullable strides, const uint32_t *box, const uint32_t *steps, int interleave, int swizzle, \
     int promotion, int fill))

/// The functions of the driver. Every one returns a CUresult, 0 for success.
typedef struct moe_cuda_driver {
  MOE_CUDA_DRIVER(MOE_FUNCTION_FIELD)
} moe_cuda_driver;

/// Fills the functions from a library that dlopen gave. Returns the first name that it has not, or null.
const char *_Nullable moe_cuda_driver_load(void *library, moe_cuda_driver *driver);

#pragma clang assume_nonnull end

#endif
