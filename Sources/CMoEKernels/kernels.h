// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#ifndef MOE_KERNELS_H
#define MOE_KERNELS_H

#include "decoder.h"
#include "moe_forward.h"
#include "row_decoder.h"

/// Inputs of a block: many rows go over a panel in pieces of this many inputs, so that the piece and the rows' part of
/// it stay in the near caches, and loads and stores of sums are rare.
enum { MOE_BLOCK = 512 };

/// Floats between the rows of a block of activations; the 16 beyond the block keep rows out of each other's cache sets.
enum { MOE_BLOCK_STRIDE = MOE_BLOCK + 16 };

/// The most rows of any tile.
enum { MOE_TILE_ROWS = 12 };

/// One tile: c[m][n] = (resume ? c[m][n] : 0) + Σ a[m][k] · b[k][n], for the rows m of the tile and the 32 outputs n
/// of the piece `b`.
///
/// `a` is in a block; `inputs` is even. Meanwhile the memory from `ahead` on is prefetched, `ahead_step` bytes for every
/// 64 bytes of `b`.
typedef void (*moe_tile)(const float *a, const uint8_t *b, int64_t inputs, float *c, int64_t c_stride, bool resume,
                         const uint8_t *ahead, int64_t ahead_step);

/// Inputs first ..< first + count of a panel of codes, both multiples of 32 (but for the end of the panel: of 8).
typedef struct moe_coded_piece {
  const moe_form *form;
  const moe_decoder *decoder;
  const uint8_t *panel;
  int64_t first, count;
  /// What will be read next is prefetched as this piece is read, as many bytes.
  const uint8_t *ahead;
} moe_coded_piece;

/// out[k][32] = values of a piece.
typedef void (*moe_unpack)(const moe_coded_piece *piece, float *out);

struct moe_kernels {
  moe_isa isa;
  /// The most rows of a tile; tiles[element][1 ... rows[element]] are set.
  int32_t rows[MOE_ELEMENT_COUNT];
  moe_tile tiles[MOE_ELEMENT_COUNT][MOE_TILE_ROWS + 1];
  moe_unpack unpack;
  /// out = columns first ..< first + count of a row.
  void (*decode_row)(const moe_row_decoder *decoder, int64_t row, int64_t first, int64_t count, float *out);
  /// By the kind of a, which is dense: adds columns first ..< first + count of a row to a comparison, where `row` is the
  /// row of b and `number` the one that is noted.
  void (*compare[MOE_ELEMENT_COUNT])(const void *a, const moe_row_decoder *b, int64_t row, int64_t first,
                                     int64_t count, int64_t number, moe_row_comparison *sum);
  /// out[i] = activation of (gate[i] · scale + gate_bias[i], up[i] · scale + up_bias[i]); gate and the biases may be
  /// null.
  void (*activate)(const moe_activation *activation, const float *gate, const float *gate_bias, const float *up,
                   const float *up_bias, float scale, float *out, int64_t count);
  /// out[i] = (resume ? out[i] : 0) + weight · (y[i] + bias[i]); bias may be null.
  void (*add)(const float *y, const float *bias, float weight, bool resume, float *out, int64_t count);
  /// Reads `count` bytes in `streams` parts side by side, `ahead` bytes prefetched; the value only keeps the reads
  /// alive.
  int32_t (*read)(const uint8_t *bytes, int64_t count, int32_t streams, int64_t ahead);
  /// 12 independent multiply-adds of vectors, `rounds` times; returns the floating-point operations done.
  double (*multiply_add)(int64_t rounds);
};

extern const moe_kernels moe_kernels_portable;
#if defined(__x86_64__)
extern const moe_kernels moe_kernels_avx2;
extern const moe_kernels moe_kernels_avx512;
#endif

#endif
