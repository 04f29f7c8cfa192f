// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// All rows of a product at once, by a unit that multiplies matrices (AMX). A tile is 16 rows of 64 bytes: 16 rows of
// activations and a step of inputs (32 in bf16, 64 as bytes), or a step of inputs and 16 outputs. A panel is two tiles of
// weights for each step, just as it lies in memory. The file that includes this one defines, where t is a literal number,
//
//   TILE_CONFIGURE(shapes), TILE_RELEASE()                   before the first tile is used, after the last one was
//   TILE_ZERO(t), TILE_LOAD(t, p, stride), TILE_STORE(t, p, stride)
//   TILE_DOT_PAIRS(t, a, b)                                  t += a · b: bf16, into fp32
//   TILE_DOT_BYTES(t, a, b)                                  signed bytes times unsigned ones, into 32 bits

enum { TILE_ROWS = 16, TILE_ROW_BYTES = 64, BLOCK_ROWS = 2 * TILE_ROWS, STEP_BYTES = TILE_ROWS * MOE_PANEL * 4 };

/// The tiles: sums of the upper and the lower rows of a block and the left and the right half of a panel, then factors.
#define UPPER_LEFT 0
#define UPPER_RIGHT 1
#define LOWER_LEFT 2
#define LOWER_RIGHT 3
#define UPPER 4
#define LOWER 5
#define LEFT 6
#define RIGHT 7

INLINE int64_t step_inputs(moe_weights weights) { return TILE_ROWS * inputs_of_step(weights); }

/// Sizes of all tiles, as the instruction reads them.
typedef struct tile_shapes {
  uint8_t palette, start_row, reserved[14];
  uint16_t row_bytes[16];
  uint8_t rows[16];
} tile_shapes;

/// How the rows of a product fall into blocks: equally many in each, so that tiles keep their sizes; the last block has
/// some too many, whose sums go nowhere.
typedef struct row_blocks {
  int64_t count, height, upper;
} row_blocks;

INLINE row_blocks blocks_of(int64_t rows) {
  int64_t count = moe_ceil_div(rows, BLOCK_ROWS), height = moe_ceil_div(rows, count);
  return (row_blocks){count, height, (height + 1) / 2};
}

static void matrices_begin(int64_t rows) {
  const row_blocks blocks = blocks_of(rows);
  const uint8_t upper = (uint8_t)blocks.upper, lower = (uint8_t)moe_max(1, blocks.height - blocks.upper);
  _Alignas(64) tile_shapes shapes = {.palette = 1,
                                     .rows = {upper, upper, lower, lower, upper, lower, TILE_ROWS, TILE_ROWS}};
  for (int t = 0; t <= RIGHT; t++) shapes.row_bytes[t] = TILE_ROW_BYTES;
  TILE_CONFIGURE(&shapes);
}

static void matrices_end(void) { TILE_RELEASE(); }

// MARK: Sums of a block

#define TILE_DOT(weights, t, a, b)                                                                                     \
  if (weights == MOE_WEIGHTS_BYTES)                                                                                    \
    TILE_DOT_BYTES(t, a, b);                                                                                           \
  else                                                                                                                 \
    TILE_DOT_PAIRS(t, a, b);

/// The rows of a block from an input on, and what is prefetched with each step.
typedef struct block_rows {
  const uint8_t *upper, *lower;
  int64_t stride;
  const uint8_t *ahead;
  int64_t lines, ahead_step;
} block_rows;

/// Adds whole steps; `lower` is false for one row.
INLINE void add_steps(moe_weights weights, bool lower, block_rows *rows, const uint8_t *b, int64_t steps) {
  for (int64_t s = 0; s < steps; s++, b += STEP_BYTES) {
    TILE_LOAD(LEFT, b, MOE_PANEL * 4);
    TILE_LOAD(RIGHT, b + TILE_ROW_BYTES, MOE_PANEL * 4);
    UNROLL for (int half = 0; half < (weights == MOE_WEIGHTS_SPLIT ? 2 : 1); half++) {
      TILE_LOAD(UPPER, rows->upper, rows->stride);
      TILE_DOT(weights, UPPER_LEFT, UPPER, LEFT)
      TILE_DOT(weights, UPPER_RIGHT, UPPER, RIGHT)
      rows->upper += TILE_ROW_BYTES;
      if (lower) {
        TILE_LOAD(LOWER, rows->lower, rows->stride);
        TILE_DOT(weights, LOWER_LEFT, LOWER, LEFT)
        TILE_DOT(weights, LOWER_RIGHT, LOWER, RIGHT)
        rows->lower += TILE_ROW_BYTES;
      }
    }
    // Into L2: what is multiplied now fills the nearest cache.
    for (int64_t line = 0; line < rows->lines; line++) __builtin_prefetch(rows->ahead + line * 64, 0, 2);
    rows->ahead += rows->ahead_step;
  }
}

/// Adds any number of inputs: a last, short step has zeros behind its weights.
INLINE void add_inputs(moe_weights weights, bool lower, block_rows *rows, const uint8_t *b, int64_t inputs) {
  const int64_t step = step_inputs(weights), steps = inputs / step, rest = inputs % step;
  add_steps(weights, lower, rows, b, steps);
  if (rest == 0) return;
  _Alignas(64) uint8_t last[STEP_BYTES] = {0};
  memcpy(last, b + steps * STEP_BYTES, (size_t)(rest * (STEP_BYTES / step)));
  add_steps(weights, lower, rows, last, 1);
}

INLINE void zero_block(bool lower) {
  TILE_ZERO(UPPER_LEFT);
  TILE_ZERO(UPPER_RIGHT);
  if (!lower) return;
  TILE_ZERO(LOWER_LEFT);
  TILE_ZERO(LOWER_RIGHT);
}

INLINE void load_block(bool lower, int64_t upper, const float *c, int64_t stride) {
  TILE_LOAD(UPPER_LEFT, c, stride * 4);
  TILE_LOAD(UPPER_RIGHT, c + TILE_ROWS, stride * 4);
  if (!lower) return;
  TILE_LOAD(LOWER_LEFT, c + upper * stride, stride * 4);
  TILE_LOAD(LOWER_RIGHT, c + upper * stride + TILE_ROWS, stride * 4);
}

INLINE void store_block(bool lower, int64_t upper, float *c, int64_t stride) {
  TILE_STORE(UPPER_LEFT, c, stride * 4);
  TILE_STORE(UPPER_RIGHT, c + TILE_ROWS, stride * 4);
  if (!lower) return;
  TILE_STORE(LOWER_LEFT, c + upper * stride, stride * 4);
  TILE_STORE(LOWER_RIGHT, c + upper * stride + TILE_ROWS, stride * 4);
}

// MARK: Products

typedef float block_sums[BLOCK_ROWS][MOE_PANEL];

INLINE block_rows rows_of_block(moe_weights weights, const moe_tile_work *work, row_blocks blocks, int64_t block) {
  const int64_t stride = row_stride(weights), lines = work->ahead_step ? STEP_BYTES / 64 / blocks.count : 0;
  const uint8_t *upper = work->a + block * blocks.height * stride;
  // Blocks share the lines of each step.
  return (block_rows){upper,
                      upper + blocks.upper * stride,
                      stride,
                      work->ahead + block * lines * 64,
                      lines,
                      blocks.count * lines * 64};
}

INLINE void copy_sums(const float *from, int64_t from_stride, float *to, int64_t to_stride, int64_t rows) {
  for (int64_t m = 0; m < rows; m++) memcpy(to + m * to_stride, from + m * from_stride, MOE_PANEL * sizeof(float));
}

/// Of dense weights: each block is one sum over all inputs.
INLINE void matrix_whole(moe_weights weights, bool lower, const moe_tile_work *work, int64_t row_count) {
  const row_blocks blocks = blocks_of(row_count);
  _Alignas(64) block_sums sums;
  for (int64_t block = 0; block < blocks.count; block++) {
    int64_t first = block * blocks.height, count = moe_min(blocks.height, row_count - first);
    float *out = work->c + first * work->c_stride, *c = count < blocks.height ? sums[0] : out;
    int64_t stride = c == out ? work->c_stride : MOE_PANEL;
    if (work->resume) {
      if (c != out) copy_sums(out, work->c_stride, c, stride, count);
      load_block(lower, blocks.upper, c, stride);
    } else {
      zero_block(lower);
    }
    block_rows rows = rows_of_block(weights, work, blocks, block);
    add_inputs(weights, lower, &rows, work->b, work->inputs);
    store_block(lower, blocks.upper, c, stride);
    if (c != out) copy_sums(c, stride, out, work->c_stride, count);
  }
}

/// A segment of a block whose sums are in memory, but not yet added to the output.
typedef struct finished {
  int64_t row, rows, segment;
} finished;

INLINE void add_segment(moe_weights weights, const moe_tile_work *work, finished f, block_sums sums) {
  const int64_t index = f.segment * work->rows.pitch + f.row;
  const int32_t offset = weights == MOE_WEIGHTS_BYTES ? work->decoder->byte_offset : 0;
  for (int64_t m = 0; m < f.rows; m++)
    UNROLL for (int v = 0; v < VECTORS; v++) {
      float *to = work->c + (f.row + m) * work->c_stride + v * LANES;
      vf sum = load(sums[m] + v * LANES), before = work->resume || f.segment > 0 ? load(to) : splat(0);
      if (weights == MOE_WEIGHTS_BYTES)
        sum = (vf)((vi)sum + (vi)segment_start(weights, &work->rows, offset, index, (int)m));
      store(to, segment_end(weights, work, work->numbers, f.segment, index, (int)m, v, sum, before));
    }
}

/// Of codes: each segment of a block is a sum. While the unit works on one, the one before is added to the output.
INLINE void matrix_segmented(moe_weights weights, bool lower, const moe_tile_work *work, int64_t row_count) {
  const row_blocks blocks = blocks_of(row_count);
  _Alignas(64) block_sums sums;
  finished last = {0};
  for (int64_t block = 0; block < blocks.count; block++) {
    block_rows rows = rows_of_block(weights, work, blocks, block);
    int64_t row = block * blocks.height, count = moe_min(blocks.height, row_count - row);
    for (int64_t k = 0; k < work->inputs; k += work->segment) {
      zero_block(lower);
      add_inputs(weights, lower, &rows, work->b + k / step_inputs(weights) * STEP_BYTES,
                 moe_min(work->segment, work->inputs - k));
      add_segment(weights, work, last, sums);
      store_block(lower, blocks.upper, sums[0], MOE_PANEL);
      last = (finished){row, count, k / work->segment};
    }
  }
  add_segment(weights, work, last, sums);
}

#define MATRIX(name, product, weights)                                                                                 \
  static void name(const moe_tile_work *work, int64_t rows) {                                                          \
    if (rows > 1)                                                                                                      \
      product(weights, true, work, rows);                                                                              \
    else                                                                                                               \
      product(weights, false, work, rows);                                                                             \
  }

MATRIX(whole_pairs, matrix_whole, MOE_WEIGHTS_PAIRS)
MATRIX(segmented_pairs, matrix_segmented, MOE_WEIGHTS_PAIRS)
MATRIX(whole_split, matrix_whole, MOE_WEIGHTS_SPLIT)
MATRIX(segmented_bytes, matrix_segmented, MOE_WEIGHTS_BYTES)

static const moe_matrices matrices = {
    .begin = matrices_begin,
    .end = matrices_end,
    // Of bytes two steps at least: with one, adding up segments takes longer than multiplying by vectors.
    .segment = {[MOE_WEIGHTS_PAIRS] = TILE_ROWS * 2,
                [MOE_WEIGHTS_SPLIT] = TILE_ROWS * 2,
                [MOE_WEIGHTS_BYTES] = MOE_BYTES_OF_TILES},
    .multiply = {[MOE_WEIGHTS_PAIRS] = {whole_pairs, segmented_pairs},
                 [MOE_WEIGHTS_SPLIT] = {whole_split, NULL},
                 [MOE_WEIGHTS_BYTES] = {NULL, segmented_bytes}},
};

// MARK: The ceiling

/// Four independent sums, `rounds` products of whole tiles in registers.
INLINE double matrix_dots(moe_weights weights, int64_t rounds) {
  _Alignas(64) uint8_t tile[TILE_ROWS * TILE_ROW_BYTES];
  for (int i = 0; i < TILE_ROWS * TILE_ROW_BYTES; i++) tile[i] = i % 2 ? 0x3f : (uint8_t)(i * 37);  // bf16 near 1
  matrices_begin(BLOCK_ROWS);
  TILE_LOAD(UPPER, tile, TILE_ROW_BYTES);
  TILE_LOAD(LOWER, tile, TILE_ROW_BYTES);
  TILE_LOAD(LEFT, tile, TILE_ROW_BYTES);
  TILE_LOAD(RIGHT, tile, TILE_ROW_BYTES);
  zero_block(true);
  for (int64_t round = 0; round < rounds; round += 4) {
    TILE_DOT(weights, UPPER_LEFT, UPPER, LEFT)
    TILE_DOT(weights, UPPER_RIGHT, UPPER, RIGHT)
    TILE_DOT(weights, LOWER_LEFT, LOWER, LEFT)
    TILE_DOT(weights, LOWER_RIGHT, LOWER, RIGHT)
  }
  matrices_end();
  return (double)(rounds * 2 * TILE_ROWS * TILE_ROWS * TILE_ROWS * inputs_of_step(weights));
}

static double dots_pairs(int64_t rounds) { return matrix_dots(MOE_WEIGHTS_PAIRS, rounds); }
static double dots_split(int64_t rounds) { return matrix_dots(MOE_WEIGHTS_PAIRS, rounds) / 2; }
static double dots_bytes(int64_t rounds) { return matrix_dots(MOE_WEIGHTS_BYTES, rounds); }
