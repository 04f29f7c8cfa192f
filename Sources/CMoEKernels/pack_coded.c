// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#include <math.h>

#include "convert.h"
#include "decoder.h"
#include "moe_pack.h"

/// Inputs that are packed at a time: one word of the narrowest plane.
enum { STRIP = 32 };

/// The codes of a strip: inputs 4i … 4i + 3 of an output in the bytes of words[i][output].
typedef struct strip {
  uint32_t words[STRIP / 4][MOE_PANEL];
} strip;

/// What is packed, and what was found out on the way.
typedef struct packing {
  const moe_form *form;
  const moe_coded_source *source;
  int64_t outputs, inputs;
  uint8_t padding;
  bool used[256];
  bool representable;
} packing;

/// Numbers `group` of 32 outputs from `first` on; 0 for outputs that are none.
static uint8_t *put_numbers(packing *packing, moe_number number, const moe_group_source *source, int64_t first,
                            int64_t group, uint8_t *to) {
  for (int64_t n = first; n < first + MOE_PANEL; n++, to += moe_number_bytes(number)) {
    bool is_output = n < packing->outputs;
    float x = is_output ? source->base[n * source->row_stride + group * source->group_stride] : 0;
    packing->representable &= moe_write_number(number, to, x) || !is_output;
  }
  return to;
}

static uint8_t *put_group(packing *packing, int64_t first, int64_t k, uint8_t *to) {
  const moe_form *form = packing->form;
  const moe_coded_source *source = packing->source;
  if (form->super_group && k % form->super_group == 0) {
    int64_t index = k / form->super_group;
    to = put_numbers(packing, form->factor, &source->factors, first, index, to);
    if (form->correction == MOE_CORRECTION_MINIMUM)
      to = put_numbers(packing, form->factor, &source->minimum_factors, first, index, to);
  }
  int64_t index = k / moe_group(form);
  to = put_numbers(packing, form->scale, &source->scales, first, index, to);
  if (form->correction != MOE_CORRECTION_NONE)
    to = put_numbers(packing, form->correction_number, &source->corrections, first, index, to);
  return to;
}

static void read_strip(packing *packing, int64_t first, int64_t k, strip *strip) {
  const moe_coded_source *source = packing->source;
  int64_t outputs = moe_min(MOE_PANEL, packing->outputs - first), inputs = moe_min(STRIP, packing->inputs - k);
  uint8_t row[STRIP];
  memset(row, packing->padding, sizeof row);
  for (int64_t n = 0; n < MOE_PANEL; n++) {
    const uint8_t *from = source->codes + (first + n) * source->row_stride + k * source->column_stride;
    if (n >= outputs)
      memset(row, packing->padding, sizeof row);
    else if (inputs == STRIP && source->column_stride == 1)
      memcpy(row, from, sizeof row);
    else
      for (int64_t i = 0; i < inputs; i++) row[i] = from[i * source->column_stride];
    for (int64_t i = 0; i < STRIP; i++) packing->used[row[i]] = true;
    for (int64_t i = 0; i < STRIP / 4; i++) memcpy(&strip->words[i][n], row + 4 * i, 4);
  }
}

/// One word of a plane for each of 32 outputs: bits `shift` ..< `shift` + `width` of the inputs from `k` on.
static uint8_t *put_words(const strip *strip, int width, int shift, int64_t k, uint8_t *to) {
  const int parts = 8 / width;
  const uint32_t mask = 0x01010101u * ((1u << width) - 1);
  uint32_t words[MOE_PANEL] = {0};
  for (int part = 0; part < parts; part++)
    for (int n = 0; n < MOE_PANEL; n++)
      words[n] |= (strip->words[k / 4 + part][n] >> shift & mask) << part * width;
  memcpy(to, words, sizeof words);
  return to + sizeof words;
}

/// The words of all planes whose first input is in k ..< k + 8 of a strip.
static uint8_t *put_step(const strip *strip, int stored, int64_t k, uint8_t *to) {
  for (int width = 1; width <= 8; width *= 2) {
    int64_t inputs = 32 / width;
    int shift = stored & ~(2 * width - 1);  // the wider planes hold the bits below
    if (stored & width)
      for (int64_t first = moe_round_up(k, inputs); first < k + MOE_STEP; first += inputs)
        to = put_words(strip, width, shift, first, to);
  }
  return to;
}

static void put_panel(packing *packing, int64_t first, uint8_t *panel, int64_t bytes) {
  int64_t group = moe_group(packing->form);
  uint8_t *to = panel;
  strip strip;
  for (int64_t k = 0; k < packing->inputs; k += MOE_STEP) {
    if (k % group == 0) to = put_group(packing, first, k, to);
    if (k % STRIP == 0) read_strip(packing, first, k, &strip);
    to = put_step(&strip, moe_stored_bits(packing->form->bits), k % STRIP, to);
  }
  memset(to, 0, (size_t)(panel + bytes - to));
}

moe_pack_status moe_pack_coded(const moe_expert_layout *layout, moe_projection projection, moe_outputs outputs,
                               const moe_coded_source *source, void *region) {
  const moe_matrix_layout *matrix = moe_matrix(layout, projection);
  packing packing = {.form = &matrix->form,
                     .source = source,
                     .outputs = outputs.count,
                     .inputs = matrix->inputs,
                     .representable = true};
  int32_t codes = 1 << matrix->form.bits;
  float closest = INFINITY;
  for (int32_t code = 0; code < codes; code++) {
    if (!(fabsf(source->table[code]) < closest)) continue;
    closest = fabsf(source->table[code]);
    packing.padding = (uint8_t)code;
  }
  if (isinf(closest)) return MOE_PACK_BAD_TABLE;
  uint8_t *panels = (uint8_t *)region + matrix->offset + outputs.first / MOE_PANEL * matrix->panel_step;
  for (int64_t first = 0; first < outputs.count; first += MOE_PANEL)
    put_panel(&packing, first, panels + first / MOE_PANEL * matrix->panel_step, matrix->panel_bytes);
  for (int32_t code = 0; code < 256; code++)
    if (packing.used[code] && !(code < codes && isfinite(source->table[code]))) return MOE_PACK_BAD_CODE;
  moe_decoder *decoder = (moe_decoder *)((uint8_t *)region + matrix->decoder_offset);
  if (outputs.first == 0 && !moe_decoder_make(decoder, &matrix->form, source->table)) return MOE_PACK_BAD_TABLE;
  return packing.representable ? MOE_PACK_OK : MOE_PACK_NOT_REPRESENTABLE;
}
