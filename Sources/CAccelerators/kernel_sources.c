// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#include "include/moe_kernel_sources.h"

#pragma clang diagnostic ignored "-Wc23-extensions"

#define MOE_TEXT(name) static const char name[]

MOE_TEXT(device_h) = {
#embed "include/moe_device.h" suffix(, 0)
};
MOE_TEXT(numbers_cuh) = {
#embed "portable/numbers.cuh" suffix(, 0)
};
MOE_TEXT(warp_cuh) = {
#embed "portable/warp.cuh" suffix(, 0)
};
MOE_TEXT(matrix_cuh) = {
#embed "portable/matrix.cuh" suffix(, 0)
};
MOE_TEXT(epilogue_cuh) = {
#embed "portable/epilogue.cuh" suffix(, 0)
};
MOE_TEXT(common_cuh) = {
#embed "kernels/common.cuh" suffix(, 0)
};
MOE_TEXT(wgmma_cuh) = {
#embed "kernels/wgmma.cuh" suffix(, 0)
};
MOE_TEXT(combine_cu) = {
#embed "portable/combine.cu" suffix(, 0)
};
MOE_TEXT(linear_cu) = {
#embed "portable/linear.cu" suffix(, 0)
};
MOE_TEXT(products_bf16_cu) = {
#embed "portable/products_bf16.cu" suffix(, 0)
};
MOE_TEXT(products_f32_cu) = {
#embed "portable/products_f32.cu" suffix(, 0)
};
MOE_TEXT(quantize_cu) = {
#embed "portable/quantize.cu" suffix(, 0)
};
MOE_TEXT(route_cu) = {
#embed "portable/route.cu" suffix(, 0)
};
MOE_TEXT(sort_cu) = {
#embed "portable/sort.cu" suffix(, 0)
};
MOE_TEXT(measure_cu) = {
#embed "portable/measure.cu" suffix(, 0)
};

const moe_kernel_source *moe_kernel_sources(size_t *count) {
  static const moe_kernel_source sources[] = {
      {"moe_device.h", device_h},
      {"numbers.cuh", numbers_cuh},
      {"warp.cuh", warp_cuh},
      {"matrix.cuh", matrix_cuh},
      {"epilogue.cuh", epilogue_cuh},
      {"common.cuh", common_cuh},
      {"wgmma.cuh", wgmma_cuh},
      {"portable/combine.cu", combine_cu},
      {"portable/linear.cu", linear_cu},
      {"portable/products_bf16.cu", products_bf16_cu},
      {"portable/products_f32.cu", products_f32_cu},
      {"portable/quantize.cu", quantize_cu},
      {"portable/route.cu", route_cu},
      {"portable/sort.cu", sort_cu},
      {"portable/measure.cu", measure_cu},
  };
  *count = sizeof(sources) / sizeof(sources[0]);
  return sources;
}
