// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// All kernels of one instruction set, and their table. The file that includes this one defines
//
//   KERNELS, ISA      the table's name and its moe_isa
//   LANES             floats of a vector
//   FUSED             (or not) there are fused multiply-adds and conversions of fp16
//   PERMUTE(v, i)     (or not) lane by lane v[i mod LANES], for vectors of at least 8 lanes
//   EACH_ROWS(F, e)   F(e, rows) for every number of rows of a tile
//   MOST_ROWS         the most rows per element type: what measured best
//   TILE_SUMS         vectors of sums up to which a tile passes over the piece once; beyond, TILE_VECTORS of outputs
//                     at a time
//
// and switches the instruction set on for the functions in here.

#include <math.h>
#include <string.h>

#include "../convert.h"
#include "../kernels.h"

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("clang loop unroll(full)")

#if defined(__x86_64__)
#define KEEP(vector) __asm__ volatile("" : "+v"(vector))
#elif defined(__aarch64__)
#define KEEP(vector) __asm__ volatile("" : "+w"(vector))
#else
#define KEEP(vector) __asm__ volatile("" : "+m"(vector))
#endif

#include "vector.h"

#include "functions.h"

#include "activation.h"
#include "ceiling.h"
#include "tile.h"
#include "unpack.h"

#include "rows.h"

#define TILE(element, rows)                                                                                            \
  static void tile_##element##_##rows(const float *a, const uint8_t *b, int64_t inputs, float *c, int64_t c_stride,    \
                                      bool resume, const uint8_t *ahead, int64_t ahead_step) {                         \
    tile(MOE_ELEMENT_##element, rows, a, b, inputs, c, c_stride, resume, ahead, ahead_step);                           \
  }
#define TILE_ENTRY(element, rows) [rows] = tile_##element##_##rows,

EACH_ROWS(TILE, F32)
EACH_ROWS(TILE, F16)
EACH_ROWS(TILE, BF16)

const moe_kernels KERNELS = {
    .isa = ISA,
    .rows = MOST_ROWS,
    .tiles =
        {
            [MOE_ELEMENT_F32] = {EACH_ROWS(TILE_ENTRY, F32)},
            [MOE_ELEMENT_F16] = {EACH_ROWS(TILE_ENTRY, F16)},
            [MOE_ELEMENT_BF16] = {EACH_ROWS(TILE_ENTRY, BF16)},
        },
    .unpack = unpack,
    .decode_row = decode_row,
    .compare = {compare_F32, compare_F16, compare_BF16},
    .activate = activate,
    .add = add,
    .read = read_bytes,
    .multiply_add = multiply_adds,
};
