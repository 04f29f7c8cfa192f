// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#include "product.h"

#include <string.h>

/// Panels that are read side by side while few rows stream through: DRAM yields more to two streams than to one.
enum { STREAMS = 2 };

int64_t moe_product_scratch(int64_t inputs) {
  return MOE_BLOCK_STRIDE * moe_max(MOE_PRODUCT_ROWS, MOE_TILE_ROWS * moe_ceil_div(inputs, MOE_BLOCK));
}

static const float *row(const moe_product *p, int64_t r) { return p->x + (p->token ? p->token[r] : r) * p->x_stride; }

/// Copies inputs first ..< first + MOE_BLOCK of all rows; an odd number of inputs gets a zero.
static void copy_block(const moe_product *p, int64_t first, float *block) {
  int64_t count = moe_min(MOE_BLOCK, p->inputs - first);
  for (int64_t r = 0; r < p->rows; r++, block += MOE_BLOCK_STRIDE) {
    memcpy(block, row(p, r) + first, (size_t)count * sizeof(float));
    if (count % 2) block[count] = 0;
  }
}

/// A few rows: one tile holds them, and the panels are read in the order in which they lie in memory.
static void stream(const moe_product *p) {
  const float *a = p->blocks;
  int64_t block_stride = p->block_stride;
  if (!a && p->rows == 1 && p->inputs % 2 == 0) {
    a = row(p, 0);
    block_stride = MOE_BLOCK;
  } else if (!a) {
    a = p->scratch;
    block_stride = p->rows * MOE_BLOCK_STRIDE;
    for (int64_t first = 0; first < p->inputs; first += MOE_BLOCK)
      copy_block(p, first, p->scratch + first / MOE_BLOCK * block_stride);
  }
  moe_tile tile = p->kernels->tiles[p->element][p->rows];
  int64_t inputs = moe_round_up(p->inputs, 2), input_bytes = moe_panel_bytes(p->element, 2) / 2;
  // Short pieces keep the streams in step; more rows take longer over a piece, and pay for each start.
  int64_t piece_bytes = p->rows <= 2 ? 1024 : 2048, piece = piece_bytes / input_bytes;
  for (int64_t first = 0; first < p->panel_count; first += STREAMS) {
    int64_t end = moe_min(first + STREAMS, p->panel_count);
    for (int64_t k = 0; k < inputs; k += piece) {
      int64_t count = moe_min(piece, inputs - k);
      for (int64_t panel = first; panel < end; panel++) {
        const uint8_t *b = p->panels + panel * p->panel_bytes + k * input_bytes;
        const uint8_t *ahead = k + piece < inputs                 ? b + piece_bytes
                               : panel + STREAMS < p->panel_count ? p->panels + (panel + STREAMS) * p->panel_bytes
                                                                  : p->next + (panel - first) * p->panel_bytes;
        const float *x = a + k / MOE_BLOCK * block_stride + k % MOE_BLOCK;
        tile(x, b, count, p->c + panel * MOE_PANEL, p->c_stride, k > 0, ahead, 64);
      }
    }
  }
}

/// Many rows: block after block of inputs, so that the rows of a block stay in L2 and a piece of a panel in L1.
static void block(const moe_product *p) {
  int64_t inputs = moe_round_up(p->inputs, 2);
  int64_t tiles = moe_ceil_div(p->rows, p->kernels->rows[p->element]);
  int64_t piece_bytes = moe_panel_bytes(p->element, MOE_BLOCK);
  for (int64_t k = 0; k < inputs; k += MOE_BLOCK) {
    const float *a = p->blocks ? p->blocks + k / MOE_BLOCK * p->block_stride : p->scratch;
    if (!p->blocks) copy_block(p, k, p->scratch);
    int64_t count = moe_min(MOE_BLOCK, inputs - k);
    const uint8_t *column = p->panels + k / MOE_BLOCK * piece_bytes;
    for (int64_t panel = 0; panel < p->panel_count; panel++) {
      const uint8_t *b = column + panel * p->panel_bytes;
      const uint8_t *ahead = panel + 1 < p->panel_count ? b + p->panel_bytes
                             : k + MOE_BLOCK < inputs   ? column + piece_bytes
                                                        : p->next;
      for (int64_t t = 0; t < tiles; t++) {
        int64_t first = p->rows * t / tiles, rows = p->rows * (t + 1) / tiles - first;
        float *c = p->c + first * p->c_stride + panel * MOE_PANEL;
        p->kernels->tiles[p->element][rows](a + first * MOE_BLOCK_STRIDE, b, count, c, p->c_stride, k > 0,
                                            ahead + piece_bytes * t / tiles, 64 / tiles);
      }
    }
  }
}

void moe_product_run(const moe_product *product) {
  if (product->rows <= product->kernels->rows[product->element])
    stream(product);
  else
    block(product);
}
