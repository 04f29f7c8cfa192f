// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#include "include/moe_kernel_sources.h"

#pragma clang diagnostic ignored "-Wc23-extensions"

#define MOE_TEXT(name) static const char name[]

MOE_TEXT(moe_device_h) = {
#embed "include/moe_device.h" suffix(, 0)
};
MOE_TEXT(moe_hopper_h) = {
#embed "include/moe_hopper.h" suffix(, 0)
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
MOE_TEXT(output_cuh) = {
#embed "portable/output.cuh" suffix(, 0)
};
MOE_TEXT(activation_cuh) = {
#embed "kernels/activation.cuh" suffix(, 0)
};
MOE_TEXT(barrier_cuh) = {
#embed "kernels/barrier.cuh" suffix(, 0)
};
MOE_TEXT(coded_product_cuh) = {
#embed "kernels/coded_product.cuh" suffix(, 0)
};
MOE_TEXT(codes_cuh) = {
#embed "kernels/codes.cuh" suffix(, 0)
};
MOE_TEXT(common_cuh) = {
#embed "kernels/common.cuh" suffix(, 0)
};
MOE_TEXT(copy_cuh) = {
#embed "kernels/copy.cuh" suffix(, 0)
};
MOE_TEXT(dealer_cuh) = {
#embed "kernels/dealer.cuh" suffix(, 0)
};
MOE_TEXT(e2m1_cuh) = {
#embed "kernels/e2m1.cuh" suffix(, 0)
};
MOE_TEXT(e4m3_cuh) = {
#embed "kernels/e4m3.cuh" suffix(, 0)
};
MOE_TEXT(epilogue_cuh) = {
#embed "kernels/epilogue.cuh" suffix(, 0)
};
MOE_TEXT(experts_cuh) = {
#embed "kernels/experts.cuh" suffix(, 0)
};
MOE_TEXT(mma_cuh) = {
#embed "kernels/mma.cuh" suffix(, 0)
};
MOE_TEXT(narrow_product_cuh) = {
#embed "kernels/narrow_product.cuh" suffix(, 0)
};
MOE_TEXT(producers_cuh) = {
#embed "kernels/producers.cuh" suffix(, 0)
};
MOE_TEXT(ring_cuh) = {
#embed "kernels/ring.cuh" suffix(, 0)
};
MOE_TEXT(scaled_epilogue_cuh) = {
#embed "kernels/scaled_epilogue.cuh" suffix(, 0)
};
MOE_TEXT(scaled_product_cuh) = {
#embed "kernels/scaled_product.cuh" suffix(, 0)
};
MOE_TEXT(stream_producers_cuh) = {
#embed "kernels/stream_producers.cuh" suffix(, 0)
};
MOE_TEXT(stream_product_cuh) = {
#embed "kernels/stream_product.cuh" suffix(, 0)
};
MOE_TEXT(stream_quantizer_cuh) = {
#embed "kernels/stream_quantizer.cuh" suffix(, 0)
};
MOE_TEXT(stream_ring_cuh) = {
#embed "kernels/stream_ring.cuh" suffix(, 0)
};
MOE_TEXT(stream_walk_cuh) = {
#embed "kernels/stream_walk.cuh" suffix(, 0)
};
MOE_TEXT(tiles_cuh) = {
#embed "kernels/tiles.cuh" suffix(, 0)
};
MOE_TEXT(weights_cuh) = {
#embed "kernels/weights.cuh" suffix(, 0)
};
MOE_TEXT(wgmma_cuh) = {
#embed "kernels/wgmma.cuh" suffix(, 0)
};
MOE_TEXT(portable_combine) = {
#embed "portable/combine.cu" suffix(, 0)
};
MOE_TEXT(portable_linear) = {
#embed "portable/linear.cu" suffix(, 0)
};
MOE_TEXT(portable_products_bf16) = {
#embed "portable/products_bf16.cu" suffix(, 0)
};
MOE_TEXT(portable_products_f32) = {
#embed "portable/products_f32.cu" suffix(, 0)
};
MOE_TEXT(portable_quantize) = {
#embed "portable/quantize.cu" suffix(, 0)
};
MOE_TEXT(portable_route) = {
#embed "portable/route.cu" suffix(, 0)
};
MOE_TEXT(portable_sort) = {
#embed "portable/sort.cu" suffix(, 0)
};
MOE_TEXT(portable_measure) = {
#embed "portable/measure.cu" suffix(, 0)
};
MOE_TEXT(hopper_combine) = {
#embed "kernels/combine.cu" suffix(, 0)
};
MOE_TEXT(hopper_grouped) = {
#embed "kernels/grouped.cu" suffix(, 0)
};
MOE_TEXT(hopper_quantize) = {
#embed "kernels/quantize.cu" suffix(, 0)
};
MOE_TEXT(hopper_quantize_rows) = {
#embed "kernels/quantize_rows.cu" suffix(, 0)
};
MOE_TEXT(hopper_round) = {
#embed "kernels/round.cu" suffix(, 0)
};
MOE_TEXT(hopper_sort) = {
#embed "kernels/sort.cu" suffix(, 0)
};
MOE_TEXT(hopper_stream) = {
#embed "kernels/stream.cu" suffix(, 0)
};

const moe_kernel_source *moe_kernel_sources(size_t *count) {
  static const moe_kernel_source sources[] = {
      {"moe_device.h", moe_device_h},
      {"moe_hopper.h", moe_hopper_h},
      {"numbers.cuh", numbers_cuh},
      {"warp.cuh", warp_cuh},
      {"matrix.cuh", matrix_cuh},
      {"output.cuh", output_cuh},
      {"activation.cuh", activation_cuh},
      {"barrier.cuh", barrier_cuh},
      {"coded_product.cuh", coded_product_cuh},
      {"codes.cuh", codes_cuh},
      {"common.cuh", common_cuh},
      {"copy.cuh", copy_cuh},
      {"dealer.cuh", dealer_cuh},
      {"e2m1.cuh", e2m1_cuh},
      {"e4m3.cuh", e4m3_cuh},
      {"epilogue.cuh", epilogue_cuh},
      {"experts.cuh", experts_cuh},
      {"mma.cuh", mma_cuh},
      {"narrow_product.cuh", narrow_product_cuh},
      {"producers.cuh", producers_cuh},
      {"ring.cuh", ring_cuh},
      {"scaled_epilogue.cuh", scaled_epilogue_cuh},
      {"scaled_product.cuh", scaled_product_cuh},
      {"stream_producers.cuh", stream_producers_cuh},
      {"stream_product.cuh", stream_product_cuh},
      {"stream_quantizer.cuh", stream_quantizer_cuh},
      {"stream_ring.cuh", stream_ring_cuh},
      {"stream_walk.cuh", stream_walk_cuh},
      {"tiles.cuh", tiles_cuh},
      {"weights.cuh", weights_cuh},
      {"wgmma.cuh", wgmma_cuh},
      {"portable/combine.cu", portable_combine},
      {"portable/linear.cu", portable_linear},
      {"portable/products_bf16.cu", portable_products_bf16},
      {"portable/products_f32.cu", portable_products_f32},
      {"portable/quantize.cu", portable_quantize},
      {"portable/route.cu", portable_route},
      {"portable/sort.cu", portable_sort},
      {"portable/measure.cu", portable_measure},
      {"kernels/combine.cu", hopper_combine},
      {"kernels/grouped.cu", hopper_grouped},
      {"kernels/quantize.cu", hopper_quantize},
      {"kernels/quantize_rows.cu", hopper_quantize_rows},
      {"kernels/round.cu", hopper_round},
      {"kernels/sort.cu", hopper_sort},
      {"kernels/stream.cu", hopper_stream},
  };
  *count = sizeof(sources) / sizeof(sources[0]);
  return sources;
}
