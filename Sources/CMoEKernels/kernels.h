// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#ifndef MOE_KERNELS_H
#define MOE_KERNELS_H

#include "decoder.h"
#include "row_decoder.h"
#include "rows.h"

/// The most rows of any tile.
enum { MOE_TILE_ROWS = 12 };

/// The most rows of a tile that reads whole panels.
enum { MOE_STREAM_ROWS = 8 };

/// What a tile multiplies: weights of an element type by rows of floats, bf16 pairs by bf16 pairs or by split floats, bytes by
/// bytes. The first three are those of `moe_element`. Codes are unpacked to one of them.
typedef enum moe_weights {
  MOE_WEIGHTS_F32 = MOE_ELEMENT_F32,
  MOE_WEIGHTS_F16 = MOE_ELEMENT_F16,
  MOE_WEIGHTS_BF16 = MOE_ELEMENT_BF16,
  MOE_WEIGHTS_PAIRS,
  MOE_WEIGHTS_SPLIT,
  /// [K/4][32][4], unsigned.
  MOE_WEIGHTS_BYTES,
} moe_weights;

enum { MOE_WEIGHTS_COUNT = 6 };

/// The most segments of a piece.
enum { MOE_SEGMENTS = MOE_BLOCK / MOE_STEP };

/// Where the numbers of a piece's segments are, from the start of a panel: the same for all panels of a form.
typedef struct moe_segments {
  int64_t count;
  /// Of the groups that segments are in; of super-groups, and which of them.
  int64_t numbers[MOE_SEGMENTS], factors[MOE_SEGMENTS];
  int64_t super_group[MOE_SEGMENTS], super_count;
} moe_segments;

/// What the codes of a piece share, segment by segment: weight = scale · code − minimum.
typedef struct moe_numbers {
  _Alignas(64) float scale[MOE_SEGMENTS][MOE_PANEL];
  float minimum[MOE_SEGMENTS][MOE_PANEL];
} moe_numbers;

/// One tile: c[m][n] = (resume ? c[m][n] : 0) + Σ a[m][k] · b[k][n], for the rows m of the tile and the 32 outputs n
/// of a piece.
///
/// Dense pieces are one sum from the first input to the last. Of codes the segments are summed on their own, then
/// multiplied by what they share, and added.
typedef struct moe_tile_work {
  /// Rows from the piece's first input on, moe_row_stride apart.
  const uint8_t *a;
  /// The piece.
  const uint8_t *b;
  int64_t inputs;
  float *c;
  int64_t c_stride;
  bool resume;
  /// Meanwhile the memory from here on is prefetched, `ahead_step` bytes for every 64 of the piece.
  const uint8_t *ahead;
  int64_t ahead_step;
  /// The following only of codes: numbers of the rows' segments, and of the panel's.
  moe_row_numbers rows;
  int64_t segment;
  bool has_minimums;
  /// A row of weights has one scale, by which its whole sum is multiplied afterwards.
  bool one_scale;
  const moe_numbers *numbers;
  const moe_decoder *decoder;
} moe_tile_work;

typedef void (*moe_tile)(const moe_tile_work *work);

/// A unit that multiplies matrices: in the place of tiles, whatever the number of rows.
typedef struct moe_matrices {
  /// Before and after products of `rows` rows.
  void (*begin)(int64_t rows);
  void (*end)(void);
  /// What it multiplies: segments are multiples of so many inputs; 0: not these weights.
  int64_t segment[MOE_WEIGHTS_COUNT];
  /// All rows of a product: [weights][segmented]. After the rows there are as many as MOE_SPARE_ROWS that may be read.
  void (*multiply[MOE_WEIGHTS_COUNT][2])(const moe_tile_work *work, int64_t rows);
} moe_matrices;

/// Blocks of rows end at most this many rows after the last one.
enum { MOE_SPARE_ROWS = 4 };

/// c[m][n] = Σ a[m][k] · b[k][n] for a few rows and a whole panel.
typedef struct moe_stream_work {
  /// Rows, moe_row_stride apart, and the bytes from a block of them to the next.
  const uint8_t *a;
  int64_t block_bytes;
  moe_row_numbers rows;
  int64_t segment, inputs;
  const moe_form *form;
  const moe_decoder *decoder;
  /// The panel, of so many bytes, and what is read after it.
  const uint8_t *b, *then;
  int64_t bytes;
  float *c;
  int64_t c_stride;
  /// A row of weights has one scale, by which whole sums are multiplied: here, if these are all inputs.
  bool one_scale, all_inputs;
  /// The how many-eth of how many tiles that read the panel one after the other.
  int64_t pass, passes;
} moe_stream_work;

typedef void (*moe_stream)(const moe_stream_work *work);

/// Inputs first ..< first + count of a panel of codes: `first` is a multiple of 32, `count` of the step.
typedef struct moe_coded_piece {
  const moe_form *form;
  const moe_decoder *decoder;
  const uint8_t *panel;
  int64_t first, count;
  /// What will be read next is prefetched as this piece is read, as many bytes.
  const uint8_t *ahead;
} moe_coded_piece;

/// The tiles of one dot; null where there is none.
typedef struct moe_products {
  /// Of pieces: [weights][segmented][1 ... rows of the kernels].
  moe_tile tiles[MOE_WEIGHTS_COUNT][2][MOE_TILE_ROWS + 1];
  /// Of whole panels: [bits or 0][kind of decoder or element type][rows - 1].
  moe_stream streams[9][MOE_DECODER_COUNT][MOE_STREAM_ROWS];
} moe_products;

struct moe_kernels {
  moe_isa isa;
  /// MOE_DOT_BF16 and MOE_DOT_SPLIT are there; MOE_DOT_I8 is so fast that rows of floats become planes of bytes.
  bool has_pairs, has_planes;
  /// The most inputs that share a scale of bytes where a row of weights has one scale.
  int32_t most_bytes;
  /// The most rows of a tile of weights.
  int32_t rows[MOE_WEIGHTS_COUNT];
  /// The most rows of tiles that read whole panels, of rows of each kind.
  int32_t stream_rows[MOE_DOT_COUNT];
  const moe_products *products[MOE_DOT_COUNT];
  /// Null where there is none.
  const moe_matrices *matrices;
  /// out[k][32] = values of a piece.
  void (*unpack)(const moe_coded_piece *piece, float *out);
  /// The codes of a piece without what they share, as fp32, bf16 pairs, or bytes.
  void (*unpack_codes)(const moe_coded_piece *piece, moe_weights weights, void *out);
  /// What the segments of a piece share in one panel. Scales are of table entries, or of `bytes`.
  void (*take_numbers)(const moe_form *form, const moe_decoder *decoder, const uint8_t *panel,
                       const moe_segments *segments, bool bytes, moe_numbers *out);
  /// Multiplies the 32 outputs of each row by their scales.
  void (*multiply_by_scales)(const float *scales, int64_t rows, float *c, int64_t c_stride);
  /// Fills inputs first ..< first + count of row r, with zeros to a multiple of 32; `first` is a multiple of MOE_BLOCK.
  void (*prepare)(const moe_rows *rows, int64_t r, int64_t first, int64_t count, const float *x);
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
  /// 12 independent dots of vectors, `rounds` times; returns the operations done (a multiply-add is two).
  double (*dots[MOE_DOT_COUNT])(int64_t rounds);
};

extern const moe_kernels moe_kernels_portable;
#if defined(__x86_64__)
extern const moe_kernels moe_kernels_avx2;
extern const moe_kernels moe_kernels_avxvnni;
extern const moe_kernels moe_kernels_avx512;
extern const moe_kernels moe_kernels_avx512vnni;
extern const moe_kernels moe_kernels_avx512bf16;
extern const moe_kernels moe_kernels_amx;
#endif

#endif
