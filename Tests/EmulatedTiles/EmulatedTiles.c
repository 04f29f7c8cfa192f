// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#include "EmulatedTiles.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 16, ROW_BYTES = 64, NUMBERS = ROW_BYTES / 4 };

typedef union emulated_tile {
  uint8_t bytes[ROWS][ROW_BYTES];
  int8_t signed_bytes[ROWS][ROW_BYTES];
  uint16_t halves[ROWS][ROW_BYTES / 2];
  float floats[ROWS][NUMBERS];
  int32_t integers[ROWS][NUMBERS];
} emulated_tile;

/// What a thread's unit holds; rows are 0 for tiles that may not be used.
static _Thread_local struct {
  uint16_t row_bytes[8];
  uint8_t rows[8];
  emulated_tile tiles[8];
} unit;

/// Stops where the instruction would.
static void require(bool holds) {
  if (!holds) abort();
}

static void emulated_configure(const void *shapes) {
  const uint8_t *bytes = shapes;
  require(bytes[0] == 1);
  memset(&unit, 0, sizeof unit);
  memcpy(unit.row_bytes, bytes + 16, sizeof unit.row_bytes);
  memcpy(unit.rows, bytes + 48, sizeof unit.rows);
  for (int t = 0; t < 8; t++) require(unit.rows[t] >= 1 && unit.rows[t] <= ROWS && unit.row_bytes[t] == ROW_BYTES);
}

static void emulated_load(int t, const void *p, int64_t stride) {
  require(unit.rows[t] > 0);
  for (int r = 0; r < unit.rows[t]; r++) memcpy(unit.tiles[t].bytes[r], (const uint8_t *)p + r * stride, ROW_BYTES);
}

static void emulated_store(int t, void *p, int64_t stride) {
  require(unit.rows[t] > 0);
  for (int r = 0; r < unit.rows[t]; r++) memcpy((uint8_t *)p + r * stride, unit.tiles[t].bytes[r], ROW_BYTES);
}

/// Sums of `t` have the rows of `a`; rows of `b` are fours of bytes of a row of `a`.
static void require_fit(int t, int a, int b) {
  require(unit.rows[t] > 0 && unit.rows[t] == unit.rows[a] && unit.rows[b] == ROWS && t != a && t != b && a != b);
}

/// Subnormal numbers are zeros, before and after.
static float flushed(float x) { return fpclassify(x) == FP_SUBNORMAL ? copysignf(0, x) : x; }

static float wide(uint16_t half) {
  uint32_t bits = (uint32_t)half << 16;
  float x;
  memcpy(&x, &bits, sizeof x);
  return flushed(x);
}

/// Two sums, of even and of odd inputs, each rounded once with each input; then those.
static void emulated_dot_pairs(int t, int a, int b) {
  require_fit(t, a, b);
  for (int m = 0; m < unit.rows[t]; m++)
    for (int n = 0; n < NUMBERS; n++) {
      float even = 0, odd = 0;
      for (int k = 0; k < ROWS; k++) {
        const uint16_t *x = &unit.tiles[a].halves[m][2 * k], *w = &unit.tiles[b].halves[k][2 * n];
        even = flushed(fmaf(wide(x[0]), wide(w[0]), even));
        odd = flushed(fmaf(wide(x[1]), wide(w[1]), odd));
      }
      float *sum = &unit.tiles[t].floats[m][n];
      *sum = flushed(flushed(*sum) + flushed(even + odd));
    }
}

static void emulated_dot_bytes(int t, int a, int b) {
  require_fit(t, a, b);
  for (int m = 0; m < unit.rows[t]; m++)
    for (int n = 0; n < NUMBERS; n++) {
      int32_t sum = unit.tiles[t].integers[m][n];
      for (int k = 0; k < ROWS; k++)
        for (int i = 0; i < 4; i++)
          sum += unit.tiles[a].signed_bytes[m][4 * k + i] * unit.tiles[b].bytes[k][4 * n + i];
      unit.tiles[t].integers[m][n] = sum;
    }
}

#define KERNELS moe_kernels_emulated_amx
#define ISA MOE_ISA_AMX
#define FLOATS_OF moe_kernels_portable
#define BYTES_OF moe_kernels_portable
#define TILE_CONFIGURE(shapes) emulated_configure(shapes)
#define TILE_RELEASE() memset(&unit, 0, sizeof unit)
#define TILE_ZERO(t) memset(&unit.tiles[t], 0, sizeof(emulated_tile))
#define TILE_LOAD(t, p, stride) emulated_load(t, p, stride)
#define TILE_STORE(t, p, stride) emulated_store(t, p, stride)
#define TILE_DOT_PAIRS(t, a, b) emulated_dot_pairs(t, a, b)
#define TILE_DOT_BYTES(t, a, b) emulated_dot_bytes(t, a, b)
#include "../../Sources/CMoEKernels/template/portable.h"

#include "../../Sources/CMoEKernels/template/kernels.h"

const moe_kernels *moe_emulated_amx(void) { return &moe_kernels_emulated_amx; }

const moe_kernels *moe_portable_for_amx(void) {
  static moe_kernels portable;
  portable = moe_kernels_emulated_amx;
  portable.matrices = NULL;
  return &portable;
}
