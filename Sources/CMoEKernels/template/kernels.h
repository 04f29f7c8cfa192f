// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// All kernels of one instruction set, and their table. The file that includes this one defines
//
//   KERNELS, ISA      the table's name and its moe_isa
//   LANES             floats of a vector
//   FUSED             (or not) there are fused multiply-adds and conversions of fp16
//   PERMUTE(v, i)     (or not) lane by lane v[i mod LANES], for vectors of at least 8 lanes
//   BYTE_DOT …        (or not) dots of bytes and halves: template/dot.h
//   PERMUTE_HALVES …  (or not) lookups of halves and bytes: template/codes.h
//   EACH_ROWS(F, e)   F(e, rows) for every number of rows of a tile
//   MOST_ROWS         the most rows for each moe_weights: what measured best
//   TILE_SUMS         vectors of sums up to which a tile passes over the piece once; beyond, TILE_VECTORS of outputs
//                     at a time
//   TILE_SUMS_AT_MOST vectors of sums that registers hold
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
#include "rows.h"

#include "dot.h"

#include "numbers.h"

#include "codes.h"

#include "tile.h"
#include "unpack.h"

#include "stored_rows.h"
#include "ceiling.h"

#define TILE(weights, rows)                                                                                            \
  static void tile_##weights##_##rows(const moe_tile_work *work) { tile(MOE_WEIGHTS_##weights, false, rows, work); }
#define SEGMENTED(weights, rows)                                                                                       \
  static void segmented_##weights##_##rows(const moe_tile_work *work) { tile(MOE_WEIGHTS_##weights, true, rows, work); }
#define TILE_ENTRY(weights, rows) [rows] = tile_##weights##_##rows,
#define SEGMENTED_ENTRY(weights, rows) [rows] = segmented_##weights##_##rows,

EACH_ROWS(TILE, F32)
EACH_ROWS(SEGMENTED, F32)
EACH_ROWS(TILE, F16)
EACH_ROWS(TILE, BF16)
EACH_ROWS(SEGMENTED, BF16)
EACH_ROWS(SEGMENTED, BYTES)
#ifdef PAIR_DOT
EACH_ROWS(TILE, PAIRS)
EACH_ROWS(SEGMENTED, PAIRS)
#endif

#define FUSE(stored, kind, bytes, panels, rows)                                                                        \
  static void fused_##stored##_##kind##_##bytes##_##panels##_##rows(const moe_tile_work *work) {                       \
    fused(stored, MOE_DECODER_##kind, bytes, panels, rows, work);                                                      \
  }
#define FUSE_EACH(stored, kind, bytes)                                                                                 \
  FUSE(stored, kind, bytes, 1, 1) FUSE(stored, kind, bytes, 1, 2) FUSE(stored, kind, bytes, 2, 1)                      \
  FUSE(stored, kind, bytes, 2, 2)
#define FUSE_ENTRY(stored, kind, bytes)                                                                                \
  [stored][MOE_DECODER_##kind][bytes] = {                                                                              \
      {fused_##stored##_##kind##_##bytes##_1_1, fused_##stored##_##kind##_##bytes##_1_2},                              \
      {fused_##stored##_##kind##_##bytes##_2_1, fused_##stored##_##kind##_##bytes##_2_2}},

/// What is decoded on the way: not what is looked up in memory.
#define EACH_FUSED(F)                                                                                                  \
  F(2, HALVES, 0) F(2, INTEGER, 0) F(2, INTEGER, 1) F(3, INTEGER, 0) F(3, INTEGER, 1) F(4, TABLE, 0) F(4, HALVES, 0)   \
  F(4, HALVES, 1) F(4, INTEGER, 0) F(4, INTEGER, 1) F(5, INTEGER, 0) F(5, INTEGER, 1) F(6, INTEGER, 0)                 \
  F(6, INTEGER, 1) F(8, INTEGER, 0) F(8, INTEGER, 1) F(8, E4M3, 0) F(8, E5M2, 0)

EACH_FUSED(FUSE_EACH)

static const moe_tile fused_tiles[9][MOE_DECODER_COUNT][2][MOE_FUSED_PANELS][MOE_FUSED_ROWS] = {
    EACH_FUSED(FUSE_ENTRY)};

const moe_kernels KERNELS = {
    .isa = ISA,
    .rows = MOST_ROWS,
    .tiles =
        {
            [MOE_WEIGHTS_F32] = {{EACH_ROWS(TILE_ENTRY, F32)}, {EACH_ROWS(SEGMENTED_ENTRY, F32)}},
            [MOE_WEIGHTS_F16] = {{EACH_ROWS(TILE_ENTRY, F16)}},
            [MOE_WEIGHTS_BF16] = {{EACH_ROWS(TILE_ENTRY, BF16)}, {EACH_ROWS(SEGMENTED_ENTRY, BF16)}},
            [MOE_WEIGHTS_BYTES] = {{0}, {EACH_ROWS(SEGMENTED_ENTRY, BYTES)}},
#ifdef PAIR_DOT
            [MOE_WEIGHTS_PAIRS] = {{EACH_ROWS(TILE_ENTRY, PAIRS)}, {EACH_ROWS(SEGMENTED_ENTRY, PAIRS)}},
#endif
        },
    .fused = fused_tiles,
    .unpack = unpack,
    .decode_row = decode_row,
    .compare = {compare_F32, compare_F16, compare_BF16},
    .unpack_codes = unpack_codes,
    .take_numbers = take_numbers,
    .prepare = prepare,
    .activate = activate,
    .add = add,
    .read = read_bytes,
    .dots =
        {
            [MOE_DOT_F32] = dots_f32,
            [MOE_DOT_I8] = dots_bytes,
#ifdef PAIR_DOT
            [MOE_DOT_BF16] = dots_pairs,
#endif
        },
#ifdef PAIR_DOT
    .has_pairs = true,
#endif
};
