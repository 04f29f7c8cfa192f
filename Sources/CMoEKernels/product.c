// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#include "product.h"

/// At the start of the scratch, where operands are codes: numbers of a piece, and the piece unpacked.
typedef struct coded_scratch {
  moe_segments segments;
  moe_numbers numbers;
  _Alignas(64) uint8_t piece[MOE_BLOCK * MOE_PANEL * sizeof(float)];
} coded_scratch;

/// Passes over a panel that few rows take at most, all but the first of them from the caches: with more of them pieces of
/// it stay nearer, and codes are better unpacked once: sooner those that become bytes and have short groups, but those with
/// groups of some length not at all. Rows must stay in L2.
enum { FEW_PASSES = 2, CODED_PASSES = 4, STREAM_GROUP = 32, STREAM_BYTES = 512 << 10 };

/// Panels whose sums of planes are added up at a time.
enum { PANELS_OF_PLANES = 8 };

int64_t moe_product_most_rows(moe_row_form rows) {
  bool is_short = rows.dot == MOE_DOT_I8 && rows.segment < STREAM_GROUP;
  return (is_short ? 2 : 1) * MOE_PRODUCT_ROWS / rows.planes;
}

int64_t moe_product_scratch(moe_row_form rows, int64_t inputs, bool coded) {
  if (rows.planes > 1)
    return MOE_PRODUCT_ROWS * PANELS_OF_PLANES * MOE_PANEL * (int64_t)sizeof(float) + (int64_t)sizeof(coded_scratch);
  int64_t many = moe_rows_bytes(rows, MOE_BLOCK, MOE_PRODUCT_ROWS);
  int64_t few = moe_rows_bytes(rows, inputs, CODED_PASSES * MOE_STREAM_ROWS);
  return moe_max(many, few) + (coded ? (int64_t)sizeof(coded_scratch) : 0);
}

// MARK: Forms

/// The matrix unit, if there is one, multiplies such weights in such segments.
static bool by_matrices(const moe_kernels *kernels, moe_weights weights, int64_t segment) {
  const int64_t least = kernels->matrices ? kernels->matrices->segment[weights] : 0;
  return least != 0 && segment >= least;  // powers of two
}

/// Weights become bf16: entries of codes, unless they must be `exact`, are rounded.
static bool takes_pairs(const moe_form *form, bool exact) {
  if (!moe_is_coded(form)) return form->element == MOE_ELEMENT_BF16;
  return !exact || form->integral || form->halves;
}

static bool takes_bytes(const moe_form *form) { return moe_is_coded(form) && form->integral; }

/// Inputs of a segment: a power of two that no group is cut by. Bytes of activations have a scale for each, so it is
/// short; longer, for some kernels, where nothing else ends with it.
static int64_t segment_of(const moe_form *form, moe_activations precision, int64_t most_bytes) {
  bool grouped = moe_is_coded(form) && form->group;
  int64_t most = precision != MOE_ACTIVATIONS_I8 ? MOE_BLOCK : takes_bytes(form) && !grouped ? most_bytes : MOE_BYTES;
  return moe_min(most, grouped ? form->group & -form->group : MOE_BLOCK);
}

/// Three products of bytes take the place of one of floats, as codes become bytes sooner and bytes are multiplied four at a
/// time; else, for like reasons, two of bf16. Dense weights, which become floats at no cost, gain by that where matrices are
/// multiplied, and codes where they are not, since a few rows pay for unpacking. Segments must not end too often.
enum { FLOATS_SEGMENT = 32 };

moe_row_form moe_product_rows(const moe_kernels *kernels, const moe_form *const *forms, int32_t count,
                              moe_activations precision, int64_t most_bytes) {
  const bool floats = precision == MOE_ACTIVATIONS_F32;
  moe_row_form rows = {.precision = precision, .segment = MOE_BLOCK, .planes = 1};
  bool pairs = precision != MOE_ACTIVATIONS_I8, bytes = !pairs || (floats && kernels->has_planes);
  bool dense = true, coded = true;
  for (int32_t i = 0; i < count; i++) {
    rows.segment = moe_min(rows.segment, segment_of(forms[i], precision, most_bytes));
    rows.has_sums |= moe_is_coded(forms[i]) && forms[i]->correction != MOE_CORRECTION_NONE;
    dense &= !moe_is_coded(forms[i]);
    coded &= moe_is_coded(forms[i]);
    pairs &= takes_pairs(forms[i], floats);
    bytes &= takes_bytes(forms[i]);
  }
  bool in_vectors = kernels->has_pairs && (coded || !floats), in_matrices = dense || !floats;
  pairs &= in_vectors || (in_matrices && by_matrices(kernels, MOE_WEIGHTS_PAIRS, rows.segment));
  if (floats && rows.segment < FLOATS_SEGMENT) pairs = bytes = false;
  rows.dot = bytes ? MOE_DOT_I8 : !pairs ? MOE_DOT_F32 : floats ? MOE_DOT_SPLIT : MOE_DOT_BF16;
  if (bytes && floats) rows.planes = MOE_PLANES_OF_FLOATS;
  return rows;
}

/// The type that tiles multiply where they don't decode.
static moe_weights tile_weights(const moe_product *p, const moe_operand *o) {
  switch (p->rows_at.form.dot) {
  case MOE_DOT_I8: return MOE_WEIGHTS_BYTES;
  case MOE_DOT_BF16: return MOE_WEIGHTS_PAIRS;
  case MOE_DOT_SPLIT: return MOE_WEIGHTS_SPLIT;
  case MOE_DOT_F32:
    if (!moe_is_coded(&o->form)) return (moe_weights)o->form.element;
    return o->decoder->is_exact ? MOE_WEIGHTS_BF16 : MOE_WEIGHTS_F32;
  }
}

/// In tiles of weights of one type: floats never go this way.
static bool multiplies_matrices(const moe_product *p) {
  return by_matrices(p->kernels, tile_weights(p, p->operands), p->rows_at.form.segment);
}

/// Bytes whose scale is that of their row: sums are multiplied by it when they are whole.
static bool has_one_scale(const moe_product *p, const moe_operand *o) {
  const moe_form *form = &o->form;
  return p->rows_at.form.dot == MOE_DOT_I8 && moe_is_coded(form) && !form->group && form->correction == MOE_CORRECTION_NONE;
}

static bool has_codes(const moe_product *p) {
  return moe_is_coded(&p->operands[0].form) || (p->paired && moe_is_coded(&p->operands[1].form));
}

/// Short segments end often, and their tiles keep what they add up in registers.
enum { SHORT_SEGMENT = 128, SHORT_SEGMENT_ROWS = 6 };

/// The most rows of a tile, for all operands.
static int32_t tile_rows(const moe_product *p) {
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

// MARK: Rows

/// The rows' part from input k on.
typedef struct rows_part {
  const uint8_t *data;
  moe_row_numbers numbers;
} rows_part;

static rows_part part_at(const moe_rows *rows, int64_t k) {
  return (rows_part){moe_rows_data(rows, k), moe_row_numbers_from(rows->numbers, moe_rows_segment(rows, k))};
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

/// `count` inputs of one panel from input k on.
typedef struct piece {
  int64_t panel, k, count;
  /// What is read next.
  const uint8_t *ahead;
} piece;

/// Finds the segments of a piece. Divides, so once for as many panels as possible.
static void find_segments(const moe_form *form, int64_t segment, int64_t k, int64_t count, moe_segments *out) {
  int64_t group = moe_group(form), super_group = moe_super_group(form), end = k + count;
  int64_t group_bytes = moe_group_bytes(form), super_bytes = moe_super_group_bytes(form);
  moe_position at = moe_position_at(form, k);
  int64_t next_group = at.group_start + group, next_super = at.super_start + super_group;
  int stored = moe_stored_bits(form->bits);
  int64_t step = moe_tile_step(stored), words = stored * MOE_PANEL * segment / 8;
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
  work->ahead = piece->ahead;
  work->rows = rows->numbers;
  work->segment = p->rows_at.form.segment;
}

/// What the codes of a piece share.
static const moe_numbers *take_numbers(const moe_product *p, int64_t panel, const moe_segments *segments) {
  coded_scratch *scratch = (coded_scratch *)p->scratch;
  const moe_operand *o = operand(p, panel);
  p->kernels->take_numbers(&o->form, o->decoder, panel_at(p, panel), segments, p->rows_at.form.dot == MOE_DOT_I8,
                           &scratch->numbers);
  return &scratch->numbers;
}

/// All rows times a piece of one panel: at once by `matrices`, or where that is null in `tiles` tiles.
static void multiply(const moe_product *p, const rows_part *rows, const piece *piece, const moe_segments *segments,
                     const moe_matrices *matrices, int64_t tiles) {
  const moe_operand *o = operand(p, piece->panel);
  moe_weights weights = tile_weights(p, o);
  bool coded = moe_is_coded(&o->form), numbered = moe_has_numbers(&p->rows_at.form);
  moe_tile_work work;
  fill_work(p, rows, piece, &work);
  int64_t ahead_bytes = 0;
  work.ahead_step = 0;
  if (coded) {
    coded_scratch *scratch = (coded_scratch *)p->scratch;
    work.decoder = o->decoder;
    work.numbers = take_numbers(p, piece->panel, segments);
    work.has_minimums = o->form.correction != MOE_CORRECTION_NONE;
    work.one_scale = has_one_scale(p, o);
    moe_coded_piece codes = {&o->form, o->decoder, panel_at(p, piece->panel), piece->k, piece->count, piece->ahead};
    p->kernels->unpack_codes(&codes, weights, scratch->piece);
    work.b = scratch->piece;
    // Unpacking has prefetched: nothing is left for the tiles but what they read.
    work.ahead = scratch->piece;
  } else {
    // Codes beside dense weights may hold more inputs than these do.
    work.inputs = moe_min(piece->count, moe_round_up(p->inputs, 2) - piece->k);
    work.b = input_at(p, piece->panel, piece->k);
    work.ahead_step = 64 / tiles;
    ahead_bytes = moe_panel_bytes(o->form.element, work.inputs);
  }
  if (matrices) {
    matrices->multiply[weights][coded](&work, p->rows);
    return;
  }
  int64_t stride = moe_row_stride(p->rows_at.form.dot), first = 0;
  for (int64_t t = 0; t < tiles; t++) {
    int64_t end = p->rows * (t + 1) / tiles, count = end - first;
    p->kernels->products[p->rows_at.form.dot]->tiles[weights][coded][count](&work);
    work.a += count * stride;
    work.c += count * p->c_stride;
    if (numbered) work.rows = moe_row_numbers_from(work.rows, count);
    work.ahead += ahead_bytes / tiles;
    first = end;
  }
}

// MARK: Two ways

/// Inputs that panels hold.
static int64_t padded_inputs(const moe_product *p) { return moe_round_up(p->inputs, has_codes(p) ? MOE_STEP : 2); }

static const moe_segments *segments_at(const moe_product *p, int64_t panel, int64_t k, int64_t count) {
  const moe_form *form = &operand(p, panel)->form;
  if (!moe_is_coded(form)) return NULL;
  moe_segments *segments = &((coded_scratch *)p->scratch)->segments;
  find_segments(form, p->rows_at.form.segment, k, count, segments);
  return segments;
}

/// Whole sums of a panel times the scale of each row of weights, where that is not done yet.
static void finish(const moe_product *p, int64_t panel) {
  if (!has_one_scale(p, operand(p, panel))) return;
  const moe_numbers *numbers = take_numbers(p, panel, segments_at(p, panel, 0, p->rows_at.form.segment));
  p->kernels->multiply_by_scales(numbers->scale[0], p->rows, p->c + panel * MOE_PANEL, p->c_stride);
}

/// The tiles that read panels of an operand themselves, by rows - 1; null where there are none.
static const moe_stream *stream_tiles(const moe_product *p, const moe_operand *o) {
  const moe_row_form *rows = &p->rows_at.form;
  if (moe_is_coded(&o->form) && rows->segment % moe_tile_step(moe_stored_bits(o->form.bits)) != 0) return NULL;
  int stored = moe_stored_bits(o->form.bits), kind = stored ? (int)o->decoder->kind : (int)o->form.element;
  const moe_products *products = p->kernels->products[rows->dot];
  if (!products) return NULL;
  const moe_stream *tiles = products->streams[stored][kind];
  return tiles[0] ? tiles : NULL;
}

static bool streams(const moe_product *p) {
  const moe_row_form *form = &p->rows_at.form;
  bool bytes = form->dot == MOE_DOT_I8, is_short = form->segment < STREAM_GROUP;
  bool any = bytes && !is_short && !multiplies_matrices(p);
  int64_t passes = has_codes(p) && !(bytes && is_short) ? CODED_PASSES : FEW_PASSES;
  bool few = any || p->rows <= passes * p->kernels->stream_rows[form->dot];
  return few && (p->rows == 1 || p->rows * p->inputs * moe_dot_bytes(form->dot) <= STREAM_BYTES) &&
         stream_tiles(p, &p->operands[0]) && (!p->paired || stream_tiles(p, &p->operands[1]));
}

/// Inputs that whole steps of a tile and whole segments hold.
static int64_t streamed_inputs(const moe_product *p, const moe_operand *o) {
  int64_t inputs = padded_inputs(p), segment = moe_max(p->rows_at.form.segment, MOE_SPLIT);
  if (!moe_is_coded(&o->form)) return moe_round_up(p->inputs, 2);
  return inputs % moe_tile_step(moe_stored_bits(o->form.bits)) == 0 ? inputs : inputs / segment * segment;
}

/// One panel times all rows, a few of them at a time.
static void stream_panel(const moe_product *p, const moe_rows *rows, int64_t panel) {
  const moe_operand *o = operand(p, panel);
  const moe_stream *tiles = stream_tiles(p, o);
  int64_t passes = moe_ceil_div(p->rows, p->kernels->stream_rows[rows->form.dot]), inputs = padded_inputs(p);
  const int64_t streamed = streamed_inputs(p, o);
  const int64_t pitch = rows->numbers.pitch, whole_row = MOE_BLOCK * moe_dot_bytes(rows->form.dot);  // of a row in place
  moe_stream_work work = {.block_bytes = pitch ? pitch * moe_row_stride(rows->form.dot) : whole_row,
                          .segment = rows->form.segment,
                          .inputs = streamed,
                          .form = &o->form,
                          .decoder = o->decoder,
                          .b = panel_at(p, panel),
                          .bytes = o->bytes,
                          .then = panel + 1 < p->panel_count ? panel_at(p, panel + 1) : p->next,
                          .c_stride = p->c_stride,
                          .one_scale = has_one_scale(p, o),
                          .all_inputs = streamed == inputs,
                          .passes = passes};
  for (int64_t r = 0; work.pass < passes; work.pass++) {
    int64_t end = p->rows * (work.pass + 1) / passes;
    moe_rows part = moe_rows_from(*rows, r);
    work.a = part.data;
    work.rows = part.numbers;
    work.c = p->c + r * p->c_stride + panel * MOE_PANEL;
    tiles[end - r - 1](&work);
    r = end;
  }
  if (work.all_inputs || !moe_is_coded(&o->form)) return;
  rows_part part = part_at(rows, work.inputs);
  piece piece = {.panel = panel, .k = work.inputs, .count = inputs - work.inputs, .ahead = work.then};
  multiply(p, &part, &piece, segments_at(p, panel, piece.k, piece.count), NULL, moe_ceil_div(p->rows, tile_rows(p)));
  finish(p, panel);
}

/// A few rows: panels are read from end to end in the order in which they lie in memory.
static void stream(const moe_product *p) {
  const moe_row_form *form = &p->rows_at.form;
  bool whole = p->inputs % (has_codes(p) ? 32 : 2) == 0;
  bool in_place = !p->rows_at.data && p->rows == 1 && whole && !moe_has_numbers(form);
  moe_rows rows = p->rows_at;
  if (in_place)
    rows.data = (uint8_t *)row(p, 0);
  else if (!rows.data)
    rows = gather(p, 0, moe_blocks(p->inputs));
  for (int64_t panel = 0; panel < p->panel_count; panel++) stream_panel(p, &rows, panel);
}

/// Many rows: block after block of inputs, so that the rows of a block stay in L2 and a piece of a panel in L1.
static void block(const moe_product *p) {
  const moe_matrices *matrices = multiplies_matrices(p) ? p->kernels->matrices : NULL;
  int64_t inputs = padded_inputs(p), tiles = matrices ? 1 : moe_ceil_div(p->rows, tile_rows(p));
  if (matrices) matrices->begin(p->rows);
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
      piece.ahead = then < inputs ? input_at(p, follower, then) : p->next;
      multiply(p, &part, &piece, segments_at(p, panel, k, piece.count), matrices, tiles);
    }
  }
  if (matrices) matrices->end();
  for (int64_t panel = 0; panel < p->panel_count; panel++) finish(p, panel);
}

static void run(const moe_product *p) {
  if (streams(p))
    stream(p);
  else
    block(p);
}

/// Planes are rows of their own, whose sums are added up, the finest first.
static void run_planes(const moe_product *p) {
  const int64_t planes = p->rows_at.form.planes;
  moe_product part = *p;
  part.rows_at.form.planes = 1;
  part.rows = p->rows * planes;
  part.c = (float *)(p->scratch + sizeof(coded_scratch));
  for (int64_t first = 0; first < p->panel_count; first += part.panel_count) {
    part.panel_count = moe_min(PANELS_OF_PLANES, p->panel_count - first);
    part.c_stride = part.panel_count * MOE_PANEL;
    for (int32_t o = 0; o <= p->paired; o++) part.operands[o].base = panel_at(p, first + o);
    const int64_t end = first + part.panel_count;
    part.next = end < p->panel_count ? panel_at(p, end) : p->next;
    run(&part);
    for (int64_t row = 0; row < p->rows; row++)
      for (int64_t plane = planes - 1; plane >= 0; plane--)
        p->kernels->add(part.c + (row * planes + plane) * part.c_stride, NULL, 1, plane + 1 < planes,
                        p->c + row * p->c_stride + first * MOE_PANEL, part.c_stride);
  }
}

void moe_product_run(const moe_product *product) {
  if (product->rows_at.form.planes > 1)
    run_planes(product);
  else
    run(product);
}
