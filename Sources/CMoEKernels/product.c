// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#include "product.h"

/// Panels that are read side by side while few rows stream through, at most.
enum { STREAMS = MOE_FUSED_PANELS };

/// At the start of the scratch, where operands are codes: numbers of pieces of two panels, and a piece unpacked.
typedef struct coded_scratch {
  moe_segments segments;
  moe_numbers numbers[STREAMS];
  _Alignas(64) uint8_t piece[MOE_BLOCK * MOE_PANEL * sizeof(float)];
} coded_scratch;

int64_t moe_product_scratch(moe_row_form rows, int64_t inputs, bool coded) {
  int64_t many = moe_rows_bytes(rows, MOE_BLOCK, MOE_PRODUCT_ROWS), few = moe_rows_bytes(rows, inputs, MOE_TILE_ROWS);
  return moe_max(many, few) + (coded ? (int64_t)sizeof(coded_scratch) : 0);
}

// MARK: Forms

/// Inputs of a segment: a power of two that no group is cut by. Bytes of activations have a scale for each, so it is short
/// but where weights have one scale for all inputs.
static int64_t segment_of(const moe_form *form, moe_activations precision) {
  bool grouped = moe_is_coded(form) && form->group;
  int64_t most = precision == MOE_ACTIVATIONS_I8 && (grouped || !moe_is_coded(form)) ? 64 : MOE_BLOCK;
  return moe_min(most, grouped ? form->group & -form->group : MOE_BLOCK);
}

/// The matrix unit, if there is one, multiplies such weights in such segments.
static bool by_matrices(const moe_kernels *kernels, moe_weights weights, int64_t segment) {
  const int64_t least = kernels->matrices ? kernels->matrices->segment[weights] : 0;
  return least != 0 && segment >= least;  // powers of two
}

static bool takes_pairs(const moe_form *form) { return moe_is_coded(form) || form->element == MOE_ELEMENT_BF16; }

static bool takes_bytes(const moe_form *form) { return moe_is_coded(form) && form->integral; }

moe_row_form moe_product_rows(const moe_kernels *kernels, const moe_form *const *forms, int32_t count,
                              moe_activations precision) {
  moe_row_form rows = {.precision = precision, .segment = MOE_BLOCK};
  bool pairs = precision == MOE_ACTIVATIONS_BF16, bytes = precision == MOE_ACTIVATIONS_I8;
  for (int32_t i = 0; i < count; i++) {
    rows.segment = moe_min(rows.segment, segment_of(forms[i], precision));
    rows.has_sums |= moe_is_coded(forms[i]) && forms[i]->correction != MOE_CORRECTION_NONE;
    pairs &= takes_pairs(forms[i]);
    bytes &= takes_bytes(forms[i]);
  }
  pairs &= kernels->has_pairs || by_matrices(kernels, MOE_WEIGHTS_PAIRS, rows.segment);
  rows.dot = bytes ? MOE_DOT_I8 : pairs ? MOE_DOT_BF16 : MOE_DOT_F32;
  return rows;
}

/// The type that tiles multiply where they don't decode.
static moe_weights tile_weights(const moe_product *p, const moe_operand *o) {
  switch (p->rows_at.form.dot) {
  case MOE_DOT_I8: return MOE_WEIGHTS_BYTES;
  case MOE_DOT_BF16: return MOE_WEIGHTS_PAIRS;
  case MOE_DOT_F32:
    if (!moe_is_coded(&o->form)) return (moe_weights)o->form.element;
    return o->decoder->is_exact ? MOE_WEIGHTS_BF16 : MOE_WEIGHTS_F32;
  }
}

/// In tiles of weights of one type: floats never go this way.
static bool multiplies_matrices(const moe_product *p) {
  return by_matrices(p->kernels, tile_weights(p, p->operands), p->rows_at.form.segment);
}

static bool has_codes(const moe_product *p) {
  return moe_is_coded(&p->operands[0].form) || (p->paired && moe_is_coded(&p->operands[1].form));
}

/// Short segments end often, and their tiles keep what they add up in registers.
enum { SHORT_SEGMENT = 128, SHORT_SEGMENT_ROWS = 6 };

/// The most rows of a tile, for all operands.
static int32_t tile_rows(const moe_product *p) {
  if (multiplies_matrices(p)) return MOE_TILE_ROWS;
  int32_t rows = MOE_TILE_ROWS;
  for (int32_t i = 0; i <= p->paired; i++) {
    int32_t most = p->kernels->rows[tile_weights(p, &p->operands[i])];
    rows = most < rows ? most : rows;
  }
  bool often = has_codes(p) && p->rows_at.form.segment < SHORT_SEGMENT;
  return often && rows > SHORT_SEGMENT_ROWS ? SHORT_SEGMENT_ROWS : rows;
}

// MARK: Operands

static const moe_operand *operand(const moe_product *p, int64_t panel) { return &p->operands[panel & p->paired]; }

static const uint8_t *panel_at(const moe_product *p, int64_t panel) {
  const moe_operand *o = operand(p, panel);
  return o->base + (panel >> p->paired) * o->step;
}

static const uint8_t *input_at(const moe_product *p, int64_t panel, int64_t k) {
  return panel_at(p, panel) + moe_input_offset(&operand(p, panel)->form, k);
}

/// Panels of both can go through one tile of codes.
static bool are_alike(const moe_operand *o, const moe_operand *other) {
  const moe_form *a = &o->form, *b = &other->form;
  return a->bits == b->bits && a->group == b->group && a->super_group == b->super_group && a->scale == b->scale &&
         a->correction == b->correction && a->correction_number == b->correction_number && a->factor == b->factor &&
         a->bits != 0 && moe_decoders_are_alike(o->decoder, other->decoder, a);
}

// MARK: Rows

/// The rows' part from input k on.
typedef struct rows_part {
  const uint8_t *data;
  const float *scales, *sums;
  const int32_t *byte_sums;
  int64_t pitch;
} rows_part;

static rows_part part_at(const moe_rows *rows, int64_t k) {
  int64_t index = moe_rows_segment(rows, k);
  return (rows_part){moe_rows_data(rows, k), rows->scales + index, rows->sums + index, rows->byte_sums + index,
                     rows->pitch};
}

static const float *row(const moe_product *p, int64_t r) { return p->x + (p->token ? p->token[r] : r) * p->x_stride; }

/// Rows of floats into blocks: `blocks` of them from input `first` on.
static moe_rows gather(const moe_product *p, int64_t first, int64_t blocks) {
  uint8_t *memory = p->scratch + (has_codes(p) ? sizeof(coded_scratch) : 0);
  int64_t inputs = moe_min(blocks * MOE_BLOCK, p->inputs - first);
  moe_rows rows;
  moe_rows_place(&rows, p->rows_at.form, inputs, p->rows, memory);
  for (int64_t k = 0; k < inputs; k += MOE_BLOCK)
    for (int64_t r = 0; r < p->rows; r++)
      p->kernels->prepare(&rows, r, k, moe_min(MOE_BLOCK, inputs - k), row(p, r) + first + k);
  return rows;
}

// MARK: Pieces

/// `count` inputs of one panel, or of two alike, from input k on.
typedef struct piece {
  int64_t panel, k, count;
  /// What is read next; of a fused piece, after its panels.
  const uint8_t *ahead[STREAMS];
} piece;

/// Finds the segments of a piece. Divides, so once for as many panels as possible.
static void find_segments(const moe_form *form, int64_t segment, int64_t k, int64_t count, moe_segments *out) {
  int64_t group = moe_group(form), super_group = moe_super_group(form), end = k + count;
  int64_t group_bytes = moe_group_bytes(form), super_bytes = moe_super_group_bytes(form);
  moe_position at = moe_position_at(form, k);
  int64_t next_group = at.group_start + group, next_super = at.super_start + super_group;
  int64_t step = moe_tile_step(moe_stored_bits(form->bits)), words = moe_stored_bits(form->bits) * MOE_PANEL * segment / 8;
  out->first = at.first;
  out->factors[0] = at.factors;
  int64_t i = 0, super = 0;
  for (; k < end; k += segment, i++) {
    if (k == next_group) {
      if (k == next_super) {
        out->factors[++super] = at.words;
        at.words += super_bytes;
        next_super += super_group;
      }
      at.numbers = at.words;
      at.words += group_bytes;
      next_group += group;
    }
    out->words[i] = at.words;
    out->numbers[i] = at.numbers;
    out->super_group[i] = super;
    // Words that reach over the end of a segment lie where they begin.
    if (segment % step != 0) words = moe_words_bytes(form, k + segment) - moe_words_bytes(form, k);
    at.words += words;
  }
  out->count = i;
  out->super_count = super + 1;
}

static void fill_work(const moe_product *p, const rows_part *rows, const piece *piece, moe_tile_work *work) {
  work->a = rows->data;
  work->inputs = piece->count;
  work->c = p->c + piece->panel * MOE_PANEL;
  work->c_stride = p->c_stride;
  work->resume = piece->k > 0;
  for (int i = 0; i < STREAMS; i++) work->ahead[i] = piece->ahead[i];
  work->scales = rows->scales;
  work->sums = rows->sums;
  work->byte_sums = rows->byte_sums;
  work->pitch = rows->pitch;
  work->segment = p->rows_at.form.segment;
}

/// What the codes of a piece share, for `panels` panels side by side.
static void take_numbers(const moe_product *p, const piece *piece, int panels, const moe_segments *segments,
                         moe_tile_work *work) {
  coded_scratch *scratch = (coded_scratch *)p->scratch;
  const moe_form *form = &operand(p, piece->panel)->form;
  for (int i = 0; i < panels; i++) {
    p->kernels->take_numbers(form, operand(p, piece->panel + i)->decoder, panel_at(p, piece->panel + i), segments,
                             p->rows_at.form.dot == MOE_DOT_I8, &scratch->numbers[i]);
  }
  work->decoder = operand(p, piece->panel)->decoder;
  work->segments = segments;
  work->numbers = scratch->numbers;
  work->has_minimums = form->correction != MOE_CORRECTION_NONE;
}

/// The tile that decodes `panels` panels of a piece itself, or null.
static moe_tile fused_tile(const moe_product *p, const piece *piece, int panels, bool alike) {
  const moe_operand *o = operand(p, piece->panel);
  if (!moe_is_coded(&o->form) || p->rows > MOE_FUSED_ROWS || p->rows_at.form.dot == MOE_DOT_BF16) return NULL;
  int stored = moe_stored_bits(o->form.bits);
  int64_t step = moe_tile_step(stored);
  if (p->rows_at.form.segment % step != 0 || piece->count % step != 0) return NULL;
  if (panels > 1 && !alike) return NULL;
  return p->kernels->fused[stored][o->decoder->kind][p->rows_at.form.dot == MOE_DOT_I8][panels - 1][p->rows - 1];
}

static void run_fused(const moe_product *p, const rows_part *rows, const piece *piece, int panels,
                      const moe_segments *segments, moe_tile tile) {
  moe_tile_work work;
  fill_work(p, rows, piece, &work);
  take_numbers(p, piece, panels, segments, &work);
  for (int i = 0; i < panels; i++) {
    work.b[i] = panel_at(p, piece->panel + i);
    work.end[i] = work.b[i] + operand(p, piece->panel + i)->bytes;
  }
  tile(&work);
}

/// All rows, in `tiles` tiles, times a piece of one panel. Compiled for one tile on its own: short pieces have no time for
/// divisions.
static inline __attribute__((always_inline)) void multiply(const moe_product *p, const rows_part *rows,
                                                           const piece *piece, const moe_segments *segments,
                                                           int64_t tiles) {
  const moe_operand *o = operand(p, piece->panel);
  moe_weights weights = tile_weights(p, o);
  bool coded = moe_is_coded(&o->form), numbered = moe_has_numbers(&p->rows_at.form);
  moe_tile_work work;
  fill_work(p, rows, piece, &work);
  int64_t ahead_bytes = 0;
  work.ahead_step = 0;
  if (coded) {
    coded_scratch *scratch = (coded_scratch *)p->scratch;
    take_numbers(p, piece, 1, segments, &work);
    moe_coded_piece codes = {&o->form, o->decoder, panel_at(p, piece->panel), piece->k, piece->count, piece->ahead[0]};
    p->kernels->unpack_codes(&codes, weights, scratch->piece);
    work.b[0] = scratch->piece;
    // Unpacking has prefetched: nothing is left for the tiles but what they read.
    work.ahead[0] = scratch->piece;
  } else {
    // Codes beside dense weights may hold more inputs than these do.
    work.inputs = moe_min(piece->count, moe_round_up(p->inputs, 2) - piece->k);
    work.b[0] = input_at(p, piece->panel, piece->k);
    work.ahead_step = 64 / tiles;
    ahead_bytes = moe_panel_bytes(o->form.element, work.inputs);
  }
  if (multiplies_matrices(p)) {
    p->kernels->matrices->multiply[weights][coded](&work, p->rows);
    return;
  }
  int64_t stride = moe_row_stride(p->rows_at.form.dot), first = 0;
  for (int64_t t = 0; t < tiles; t++) {
    int64_t end = p->rows * (t + 1) / tiles, count = end - first;
    p->kernels->tiles[weights][coded][count](&work);
    work.a += count * stride;
    work.c += count * p->c_stride;
    if (numbered) {
      work.scales += count;
      work.sums += count;
      work.byte_sums += count;
    }
    work.ahead[0] += ahead_bytes / tiles;
    first = end;
  }
}

// MARK: Two ways

/// Inputs of a piece of one operand. Short pieces keep the streams in step; more rows take longer over a piece, and pay
/// for each start.
static int64_t piece_inputs(const moe_form *form, int64_t rows) {
  if (moe_is_coded(form)) return moe_stored_bits(form->bits) <= 4 ? 256 : 128;
  return (rows <= 2 ? 1024 : 2048) / MOE_PANEL / moe_element_bytes(form->element);
}

static int64_t stream_piece(const moe_product *p) {
  int64_t piece = has_codes(p) ? p->rows_at.form.segment : 0;
  for (int32_t i = 0; i <= p->paired; i++) piece = moe_max(piece, piece_inputs(&p->operands[i].form, p->rows));
  if (multiplies_matrices(p)) piece = moe_max(piece, p->kernels->matrices->segment[tile_weights(p, p->operands)]);
  return piece;
}

/// Inputs that panels hold.
static int64_t padded_inputs(const moe_product *p) { return moe_round_up(p->inputs, has_codes(p) ? MOE_STEP : 2); }

static const moe_segments *segments_at(const moe_product *p, int64_t panel, int64_t k, int64_t count) {
  const moe_form *form = &operand(p, panel)->form;
  if (!moe_is_coded(form)) return NULL;
  moe_segments *segments = &((coded_scratch *)p->scratch)->segments;
  find_segments(form, p->rows_at.form.segment, k, count, segments);
  return segments;
}

/// Codes of 8 bits times bytes are done as fast as one stream comes.
static int64_t streams_of(const moe_product *p) {
  bool alone = p->rows_at.form.dot == MOE_DOT_I8 && moe_stored_bits(p->operands[0].form.bits) == 8;
  return alone && p->rows <= MOE_FUSED_ROWS ? 1 : STREAMS;
}

/// A few rows: one tile holds them, and the panels are read in the order in which they lie in memory.
static void stream(const moe_product *p) {
  const moe_row_form *form = &p->rows_at.form;
  int64_t inputs = padded_inputs(p), piece_size = stream_piece(p);
  bool in_place = !p->rows_at.data && p->rows == 1 && p->inputs == inputs && !moe_has_numbers(form);
  bool alike = !p->paired || (p->rows <= MOE_FUSED_ROWS && are_alike(&p->operands[0], &p->operands[1]));
  moe_rows rows = p->rows_at;
  if (!rows.data && !in_place) rows = gather(p, 0, moe_blocks(p->inputs));
  const int64_t streams = streams_of(p);
  for (int64_t first = 0; first < p->panel_count; first += streams) {
    int panels = (int)moe_min(streams, p->panel_count - first);
    for (int64_t k = 0; k < inputs; k += piece_size) {
      piece piece = {.panel = first, .k = k, .count = moe_min(piece_size, inputs - k)};
      rows_part part = {.data = (const uint8_t *)(p->x ? row(p, 0) + k : NULL)};
      if (!in_place) part = part_at(&rows, k);
      for (int i = 0; i < panels; i++) {
        int64_t panel = first + i, later = panel_at(p, i) - p->operands[0].base;  // from the start of what comes next
        piece.ahead[i] = panel + streams < p->panel_count ? panel_at(p, panel + streams) : p->next + later;
      }
      const moe_segments *segments = segments_at(p, first, k, piece.count);
      moe_tile tile = fused_tile(p, &piece, panels, alike);
      if (tile) {
        run_fused(p, &part, &piece, panels, segments, tile);
        continue;
      }
      if (k + piece_size < inputs)
        for (int i = 0; i < panels; i++) piece.ahead[i] = input_at(p, first + i, k + piece_size);
      for (int i = 0; i < panels; i++, piece.panel++, piece.ahead[0] = piece.ahead[1])
        multiply(p, &part, &piece, i == 0 ? segments : segments_at(p, piece.panel, k, piece.count), 1);
    }
  }
}

/// Many rows: block after block of inputs, so that the rows of a block stay in L2 and a piece of a panel in L1.
static void block(const moe_product *p) {
  int64_t inputs = padded_inputs(p), tiles = moe_ceil_div(p->rows, tile_rows(p));
  for (int64_t k = 0; k < inputs; k += MOE_BLOCK) {
    moe_rows gathered;
    rows_part part;
    if (p->rows_at.data) {
      part = part_at(&p->rows_at, k);
    } else {
      gathered = gather(p, k, 1);
      part = part_at(&gathered, 0);
    }
    for (int64_t panel = 0; panel < p->panel_count; panel++) {
      bool last = panel + 1 == p->panel_count;
      int64_t then = last ? k + MOE_BLOCK : k, follower = last ? 0 : panel + 1;
      piece piece = {.panel = panel, .k = k, .count = moe_min(MOE_BLOCK, inputs - k)};
      piece.ahead[0] = then < inputs ? input_at(p, follower, then) : p->next;
      multiply(p, &part, &piece, segments_at(p, panel, k, piece.count), tiles);
    }
  }
}

void moe_product_run(const moe_product *product) {
  const moe_matrices *matrices = multiplies_matrices(product) ? product->kernels->matrices : NULL;
  if (matrices) matrices->begin(product->rows);
  if (product->rows <= tile_rows(product))
    stream(product);
  else
    block(product);
  if (matrices) matrices->end();
}
