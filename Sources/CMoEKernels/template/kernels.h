// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// All kernels of one instruction set, and their table. The file that includes this one defines
//
//   KERNELS, ISA      the table's name and its moe_isa
//   LANES             floats of a vector
//   FUSED             (or not) there are fused multiply-adds and conversions of fp16
//   PERMUTE(v, i)     (or not) lane by lane v[i mod LANES], for vectors of at least 8 lanes
//   BYTE_DOT …        (or not) dots of bytes and halves: template/dot.h
//   GREATER_MAGNITUDE(a, b)  (or not) lane by lane the greater magnitude
//   PERMUTE_HALVES …  (or not) lookups of halves and bytes: template/codes.h
//   TILE_LOAD …       (or not) a unit that multiplies matrices: template/matrix.h
//   FLOATS_OF, BYTES_OF  (or not) the table whose products of floats and of bytes serve here too
//   EACH_ROWS(F, e)   F(e, rows) for every number of rows of a tile
//   MOST_ROWS         the most rows for each moe_weights: what measured best
//   TILE_SUMS         vectors of sums up to which a tile passes over the piece once; beyond, TILE_VECTORS of outputs
//                     at a time
//   TILE_SUMS_AT_MOST vectors of sums that registers hold
//   EACH_STREAM_ROWS  as EACH_ROWS, for tiles that read whole panels: (F, stored bits, kind, weights), and STREAM_ROWS the
//                     most of them
//   EACH_SPLIT_ROWS, EACH_SPLIT_STREAM_ROWS, SPLIT_STREAM_ROWS  the same for split floats, where there is a PAIR_DOT
//
// and switches the instruction set on for the functions in here.

#include <math.h>
#include <string.h>

// Vectors may be wider than those of the target, but none is passed to another file.
#pragma clang diagnostic ignored "-Wpsabi"

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

#include "stream.h"
#include "unpack.h"

#include "stored_rows.h"
#include "comparison.h"
#include "ceiling.h"

#ifdef TILE_LOAD
#include "matrix.h"
#endif

// MARK: Products

#define TILE(weights, rows)                                                                                            \
  static void tile_##weights##_##rows(const moe_tile_work *work) { tile(MOE_WEIGHTS_##weights, false, rows, work); }
#define SEGMENTED(weights, rows)                                                                                       \
  static void segmented_##weights##_##rows(const moe_tile_work *work) { tile(MOE_WEIGHTS_##weights, true, rows, work); }
#define TILE_ENTRY(weights, rows) [rows] = tile_##weights##_##rows,
#define SEGMENTED_ENTRY(weights, rows) [rows] = segmented_##weights##_##rows,

#define STREAM_OF(stored, kind, weights, rows)                                                                         \
  static void stream_##stored##_##kind##_##weights##_##rows(const moe_stream_work *work) {                             \
    stream(stored, MOE_##kind, MOE_WEIGHTS_##weights, rows, work);                                                     \
  }
#define STREAM(stored, kind, weights) EACH_STREAM_ROWS(STREAM_OF, stored, kind, weights)
#define SPLIT_STREAM(stored, kind, weights) EACH_SPLIT_STREAM_ROWS(STREAM_OF, stored, kind, weights)
#define STREAM_ROW(stored, kind, weights, rows) [rows - 1] = stream_##stored##_##kind##_##weights##_##rows,
#define STREAM_ENTRY(stored, kind, weights)                                                                            \
  [stored][MOE_##kind] = {EACH_STREAM_ROWS(STREAM_ROW, stored, kind, weights)},
#define SPLIT_STREAM_ENTRY(stored, kind, weights)                                                                      \
  [stored][MOE_##kind] = {EACH_SPLIT_STREAM_ROWS(STREAM_ROW, stored, kind, weights)},

#define JOIN_NAMES(kernels, dot) kernels##_##dot
#define PRODUCTS(kernels, dot) JOIN_NAMES(kernels, dot)

// Dense weights have 0 stored bits. What is looked up in memory is not here, nor what rows of split floats never meet: see
// `moe_product_rows`.

#ifndef FLOATS_OF
#define FLOATS_OF KERNELS
#define EACH_FLOAT_STREAM(F)                                                                                           \
  F(0, ELEMENT_F32, F32) F(0, ELEMENT_F16, F32) F(0, ELEMENT_BF16, F32) F(2, DECODER_HALVES, F32)                      \
  F(2, DECODER_INTEGER, F32) F(3, DECODER_INTEGER, F32) F(4, DECODER_TABLE, F32) F(4, DECODER_HALVES, F32)             \
  F(4, DECODER_INTEGER, F32) F(5, DECODER_INTEGER, F32) F(6, DECODER_INTEGER, F32) F(8, DECODER_INTEGER, F32)          \
  F(8, DECODER_E4M3, F32) F(8, DECODER_E5M2, F32)

EACH_ROWS(TILE, F32)
EACH_ROWS(SEGMENTED, F32)
EACH_ROWS(TILE, F16)
EACH_ROWS(TILE, BF16)
EACH_ROWS(SEGMENTED, BF16)
EACH_FLOAT_STREAM(STREAM)

extern const moe_products PRODUCTS(KERNELS, floats);
const moe_products PRODUCTS(KERNELS, floats) = {
    .tiles = {[MOE_WEIGHTS_F32] = {{EACH_ROWS(TILE_ENTRY, F32)}, {EACH_ROWS(SEGMENTED_ENTRY, F32)}},
              [MOE_WEIGHTS_F16] = {{EACH_ROWS(TILE_ENTRY, F16)}},
              [MOE_WEIGHTS_BF16] = {{EACH_ROWS(TILE_ENTRY, BF16)}, {EACH_ROWS(SEGMENTED_ENTRY, BF16)}}},
    .streams = {EACH_FLOAT_STREAM(STREAM_ENTRY)},
};
#else
extern const moe_products PRODUCTS(FLOATS_OF, floats);
#endif

#ifndef BYTES_OF
#define BYTES_OF KERNELS
#define EACH_BYTE_STREAM(F)                                                                                            \
  F(2, DECODER_INTEGER, BYTES) F(3, DECODER_INTEGER, BYTES) F(4, DECODER_HALVES, BYTES) F(4, DECODER_INTEGER, BYTES)   \
  F(5, DECODER_INTEGER, BYTES) F(6, DECODER_INTEGER, BYTES) F(8, DECODER_INTEGER, BYTES)

EACH_ROWS(SEGMENTED, BYTES)
EACH_BYTE_STREAM(STREAM)

extern const moe_products PRODUCTS(KERNELS, bytes);
const moe_products PRODUCTS(KERNELS, bytes) = {
    .tiles = {[MOE_WEIGHTS_BYTES] = {{0}, {EACH_ROWS(SEGMENTED_ENTRY, BYTES)}}},
    .streams = {EACH_BYTE_STREAM(STREAM_ENTRY)},
};
#else
extern const moe_products PRODUCTS(BYTES_OF, bytes);
#endif

#ifdef PAIR_DOT
#define EACH_PAIR_STREAM(F)                                                                                            \
  F(0, ELEMENT_BF16, PAIRS) F(4, DECODER_HALVES, PAIRS) F(4, DECODER_INTEGER, PAIRS) F(5, DECODER_INTEGER, PAIRS)      \
  F(6, DECODER_INTEGER, PAIRS) F(8, DECODER_E4M3, PAIRS) F(8, DECODER_E5M2, PAIRS)
#define EACH_SPLIT_STREAM(F) F(8, DECODER_E4M3, SPLIT) F(8, DECODER_E5M2, SPLIT)

EACH_ROWS(TILE, PAIRS)
EACH_ROWS(SEGMENTED, PAIRS)
EACH_PAIR_STREAM(STREAM)

static const moe_products pairs = {
    .tiles = {[MOE_WEIGHTS_PAIRS] = {{EACH_ROWS(TILE_ENTRY, PAIRS)}, {EACH_ROWS(SEGMENTED_ENTRY, PAIRS)}}},
    .streams = {EACH_PAIR_STREAM(STREAM_ENTRY)},
};

EACH_SPLIT_ROWS(SEGMENTED, SPLIT)
EACH_SPLIT_STREAM(SPLIT_STREAM)

static const moe_products split = {
    .tiles = {[MOE_WEIGHTS_SPLIT] = {{0}, {EACH_SPLIT_ROWS(SEGMENTED_ENTRY, SPLIT)}}},
    .streams = {EACH_SPLIT_STREAM(SPLIT_STREAM_ENTRY)},
};
#endif

const moe_kernels KERNELS = {
    .isa = ISA,
    .rows = MOST_ROWS,
    .stream_rows = {[MOE_DOT_F32] = STREAM_ROWS,
                    [MOE_DOT_I8] = STREAM_ROWS,
#ifdef PAIR_DOT
                    [MOE_DOT_BF16] = STREAM_ROWS,
                    [MOE_DOT_SPLIT] = SPLIT_STREAM_ROWS,
#endif
    },
    .products = {[MOE_DOT_F32] = &PRODUCTS(FLOATS_OF, floats),
                 [MOE_DOT_I8] = &PRODUCTS(BYTES_OF, bytes),
#ifdef PAIR_DOT
                 [MOE_DOT_BF16] = &pairs,
                 [MOE_DOT_SPLIT] = &split,
#endif
    },
#ifdef TILE_LOAD
    .matrices = &matrices,
    .most_bytes = MOE_BYTES_OF_TILES,
#else
    .most_bytes = MOE_BYTES,
#endif
    .unpack = unpack,
    .decode_row = decode_row,
    .compare = {compare_F32, compare_F16, compare_BF16},
    .unpack_codes = unpack_codes,
    .take_numbers = take_numbers,
    .multiply_by_scales = multiply_by_scales,
    .prepare = prepare,
    .activate = activate,
    .add = add,
    .read = read_bytes,
    .dots =
        {
            [MOE_DOT_F32] = dots_f32,
            [MOE_DOT_I8] = dots_bytes,
#if defined(PAIR_DOT) || defined(TILE_LOAD)
            [MOE_DOT_BF16] = dots_pairs,
            [MOE_DOT_SPLIT] = dots_split,
#endif
        },
#ifdef PAIR_DOT
    .has_pairs = true,
#endif
#ifdef BYTE_DOT
    .has_planes = true,
#endif
};
