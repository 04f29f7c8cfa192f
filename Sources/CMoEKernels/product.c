// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#include "product.h"

#include <string.h>

/// Panels that are read side by side while few rows stream through: DRAM yields more to two streams than to one.
enum { STREAMS = 2 };

/// Floats of an unpacked piece of a panel, at the start of the scratch.
enum { UNPACKED = MOE_BLOCK * MOE_PANEL };

int64_t moe_product_scratch(int64_t inputs, bool coded) {
  int64_t blocks = MOE_BLOCK_STRIDE * moe_max(MOE_PRODUCT_ROWS, MOE_TILE_ROWS * moe_ceil_div(inputs, MOE_BLOCK));
  return blocks + (coded ? UNPACKED : 0);
}

// MARK: Operands

static bool has_codes(const moe_product *p) {
  for (int32_t i = 0; i <= p->paired; i++)
    if (moe_is_coded(&p->operands[i].form)) return true;
  return false;
}

static const moe_operand *operand(const moe_product *p, int64_t panel) {
  return &p->operands[panel & p->paired];
}

static const uint8_t *panel_at(const moe_product *p, int64_t panel) {
  const moe_operand *o = operand(p, panel);
  return o->base + (panel >> p->paired) * o->step;
}

static const uint8_t *input_at(const moe_product *p, int64_t panel, int64_t k) {
  return panel_at(p, panel) + moe_input_offset(&operand(p, panel)->form, k);
}

/// The type that tiles multiply: codes are unpacked to fp32.
static moe_element tile_element(const moe_form *form) {
  return moe_is_coded(form) ? MOE_ELEMENT_F32 : form->element;
}

/// The most rows of a tile, for all operands.
static int32_t tile_rows(const moe_product *p) {
  int32_t rows = MOE_TILE_ROWS;
  for (int32_t i = 0; i <= p->paired; i++) {
    int32_t most = p->kernels->rows[tile_element(&p->operands[i].form)];
    rows = most < rows ? most : rows;
  }
  return rows;
}

// MARK: Rows

static const float *row(const moe_product *p, int64_t r) { return p->x + (p->token ? p->token[r] : r) * p->x_stride; }

static float *block_scratch(const moe_product *p) { return p->scratch + (has_codes(p) ? UNPACKED : 0); }

/// Copies inputs first ..< first + MOE_BLOCK of all rows; an odd number of inputs gets a zero.
static void copy_block(const moe_product *p, int64_t first, float *block) {
  int64_t count = moe_min(MOE_BLOCK, p->inputs - first);
  for (int64_t r = 0; r < p->rows; r++, block += MOE_BLOCK_STRIDE) {
    memcpy(block, row(p, r) + first, (size_t)count * sizeof(float));
    if (count % 2) block[count] = 0;
  }
}

// MARK: Pieces

/// Unpacks `count` inputs (even) from input k on; the one beyond the last input is zero.
static const uint8_t *unpack(const moe_product *p, int64_t panel, int64_t k, int64_t count, const uint8_t *ahead) {
  const moe_operand *o = operand(p, panel);
  moe_coded_piece piece = {.form = &o->form,
                           .decoder = o->decoder,
                           .panel = panel_at(p, panel),
                           .first = k,
                           .count = moe_round_up(count, MOE_STEP),
                           .ahead = ahead};
  p->kernels->unpack(&piece, p->scratch);
  if (k + count > p->inputs) memset(p->scratch + (count - 1) * MOE_PANEL, 0, MOE_PANEL * sizeof(float));
  return (const uint8_t *)p->scratch;
}

/// All rows, in `tiles` tiles, times `count` inputs (even) of a panel from input k on; a: those inputs of the rows.
/// The memory at `ahead` is prefetched, as much as is read. Compiled for one tile on its own: short pieces have no time
/// for divisions.
static inline __attribute__((always_inline)) void multiply(const moe_product *p, const float *a, int64_t panel,
                                                           int64_t k, int64_t count, int64_t tiles,
                                                           const uint8_t *ahead) {
  const moe_operand *o = operand(p, panel);
  moe_element element = tile_element(&o->form);
  const uint8_t *b = input_at(p, panel, k);
  int64_t ahead_bytes = moe_panel_bytes(element, count), ahead_step = 64 / tiles;
  if (moe_is_coded(&o->form)) {
    b = unpack(p, panel, k, count, ahead);
    // Unpacking has prefetched: nothing is left for the tiles but what they read.
    ahead = b;
    ahead_bytes = ahead_step = 0;
  }
  for (int64_t t = 0; t < tiles; t++) {
    int64_t first = p->rows * t / tiles, rows = p->rows * (t + 1) / tiles - first;
    p->kernels->tiles[element][rows](a + first * MOE_BLOCK_STRIDE, b, count,
                                     p->c + first * p->c_stride + panel * MOE_PANEL, p->c_stride, k > 0,
                                     ahead + ahead_bytes * t / tiles, ahead_step);
  }
}

// MARK: Two ways

/// Inputs of a piece of one operand. Short pieces keep the streams in step; more rows take longer over a piece, and pay
/// for each start. Codes are 2 KiB at most, and half of L1 at most as fp32.
static int64_t piece_inputs(const moe_form *form, int64_t rows) {
  if (moe_is_coded(form)) return moe_stored_bits(form->bits) <= 4 ? 128 : 64;
  return (rows <= 2 ? 1024 : 2048) / MOE_PANEL / moe_element_bytes(form->element);
}

static int64_t stream_piece(const moe_product *p) {
  int64_t piece = 0;
  for (int32_t i = 0; i <= p->paired; i++)
    piece = moe_max(piece, piece_inputs(&p->operands[i].form, p->rows));
  return piece;
}

/// A few rows: one tile holds them, and the panels are read in the order in which they lie in memory.
static void stream(const moe_product *p) {
  const float *a = p->blocks;
  int64_t block_stride = p->block_stride;
  if (!a && p->rows == 1 && p->inputs % 2 == 0) {
    a = row(p, 0);
    block_stride = MOE_BLOCK;
  } else if (!a) {
    float *blocks = block_scratch(p);
    a = blocks;
    block_stride = p->rows * MOE_BLOCK_STRIDE;
    for (int64_t first = 0; first < p->inputs; first += MOE_BLOCK)
      copy_block(p, first, blocks + first / MOE_BLOCK * block_stride);
  }
  int64_t inputs = moe_round_up(p->inputs, 2), piece = stream_piece(p);
  for (int64_t first = 0; first < p->panel_count; first += STREAMS) {
    int64_t end = moe_min(first + STREAMS, p->panel_count);
    for (int64_t k = 0; k < inputs; k += piece) {
      for (int64_t panel = first; panel < end; panel++) {
        int64_t later = panel_at(p, panel - first) - p->operands[0].base;  // from the start of what comes next
        const uint8_t *ahead = k + piece < inputs                 ? input_at(p, panel, k + piece)
                               : panel + STREAMS < p->panel_count ? panel_at(p, panel + STREAMS)
                                                                  : p->next + later;
        multiply(p, a + k / MOE_BLOCK * block_stride + k % MOE_BLOCK, panel, k, moe_min(piece, inputs - k), 1, ahead);
      }
    }
  }
}

/// Many rows: block after block of inputs, so that the rows of a block stay in L2 and a piece of a panel in L1.
static void block(const moe_product *p) {
  int64_t inputs = moe_round_up(p->inputs, 2), tiles = moe_ceil_div(p->rows, tile_rows(p));
  for (int64_t k = 0; k < inputs; k += MOE_BLOCK) {
    const float *a = p->blocks ? p->blocks + k / MOE_BLOCK * p->block_stride : block_scratch(p);
    if (!p->blocks) copy_block(p, k, block_scratch(p));
    for (int64_t panel = 0; panel < p->panel_count; panel++) {
      bool last = panel + 1 == p->panel_count;
      int64_t then = last ? k + MOE_BLOCK : k, follower = last ? 0 : panel + 1;
      const uint8_t *ahead = then < inputs ? input_at(p, follower, then) : p->next;
      multiply(p, a, panel, k, moe_min(MOE_BLOCK, inputs - k), tiles, ahead);
    }
  }
}

void moe_product_run(const moe_product *product) {
  if (product->rows <= tile_rows(product))
    stream(product);
  else
    block(product);
}
