// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#include "kernels.h"

const moe_kernels *moe_kernels_for(moe_isa isa) {
  static const moe_kernels *const tables[MOE_ISA_COUNT] = {
      [MOE_ISA_PORTABLE] = &moe_kernels_portable,
#if defined(__x86_64__) && !defined(MOE_PORTABLE)
      [MOE_ISA_AVX2] = &moe_kernels_avx2,
      [MOE_ISA_AVXVNNI] = &moe_kernels_avxvnni,
      [MOE_ISA_AVX512] = &moe_kernels_avx512,
      [MOE_ISA_AVX512VNNI] = &moe_kernels_avx512vnni,
      [MOE_ISA_AVX512BF16] = &moe_kernels_avx512bf16,
      [MOE_ISA_AMX] = &moe_kernels_amx,
#endif
  };
  return moe_isa_supported(isa) ? tables[isa] : NULL;
}

moe_isa moe_kernels_isa(const moe_kernels *kernels) { return kernels->isa; }
