// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#ifndef MOE_DEVICE_H
#define MOE_DEVICE_H

// What the host and the portable kernels say to each other: read by C, by Swift and by NVRTC, so it includes nothing.

#ifdef __CUDACC_RTC__
#define MOE_ADDRESS(type) type *
#else
#define MOE_ADDRESS(type) unsigned long long
#endif

/// How a number is stored.
enum {
  MOE_F32 = 0,
  MOE_F16 = 1,
  MOE_BF16 = 2,
  /// 2^(byte − 127)
  MOE_E8M0 = 3,
  MOE_E4M3 = 4,
  MOE_U8 = 5,
  MOE_I8 = 6,
};

/// What is taken away from a coded weight: see `moe_matrix`.
enum { MOE_NOTHING = 0, MOE_ZERO = 1, MOE_MINIMUM = 2 };

/// Where a matrix [rows, columns] of an expert lies in its region, and how it is kept; offsets are in bytes.
///
/// Rows stand one after the other, `row_bytes` apart, dense or as codes of `bits`: 8 columns are `bits` bytes, the first
/// column in the lowest bits. A coded weight is, in 32 bits and in this order, with the group g and the super-group h of
/// its column,
///
///     s = scale[row, g] · factor[row, h]      m = correction[row, g] · minimum_factor[row, h]
///     table[code] · s,   (table[code] − m) · s   or   table[code] · s − m
///
/// where factors are left out when there are no super-groups (and of m, unless it is a minimum).
typedef struct moe_matrix {
  int rows, columns;
  /// 0: dense numbers of `number`.
  int bits, number;
  /// Columns that share a scale, a multiple of 8, and how many such groups a row has room for.
  int group, groups;
  /// Columns that share a factor, 0: none.
  int super_group, super_groups;
  /// The numbers of scales, corrections and factors; what a correction is.
  int scale, correction, correction_number, factor;
  /// A bias of 32-bit floats, [rows].
  int has_bias;
  int padding;
  long long weights, row_bytes, scales, corrections, factors, minimum_factors, table, bias;
} moe_matrix;

enum { MOE_SILU = 0, MOE_GELU = 1, MOE_GELU_TANH = 2, MOE_RELU2 = 3, MOE_SITU = 4 };

/// f(gate) · (up + beta), or f(up) without a gate; a limit that isn't there is infinite.
typedef struct moe_device_activation {
  int function, is_gated;
  float alpha, beta, limit, limit_after, situ_beta, situ_up_beta;
} moe_device_activation;

/// Rows that one block of a product takes: of one expert.
typedef struct moe_tile {
  int expert, first_row, end_row;
} moe_tile;

/// (token, slot) pairs in the order of their experts.
///
/// A *slot* here is the index of a pair, token · top_k + slot; a *row* is a place in the order of experts.
typedef struct moe_sort_arguments {
  /// [slots]; −1 is skipped, and so is what is no expert.
  MOE_ADDRESS(const int) ids;
  int slots, experts, tile_rows, blocks;
  /// [blocks, experts]: how many slots of a block go to an expert; after the scan, the first row of them.
  MOE_ADDRESS(int) counts;
  /// [1 + experts]: the first row of an expert; the last is the number of rows.
  MOE_ADDRESS(int) offsets;
  /// [slots]: the slot of each row.
  MOE_ADDRESS(int) slot_of_row;
  /// [slots]: the row of each slot, −1 where it is skipped.
  MOE_ADDRESS(int) row_of_slot;
  /// [tile_count], for the number of tiles that there can be; those that there are not have no rows.
  MOE_ADDRESS(moe_tile) tiles;
  int tile_count;
} moe_sort_arguments;

/// Slots that a block of the sort takes.
enum { MOE_SORT_SLOTS = 1024 };

/// A product of the rows of each expert.
typedef struct moe_product_arguments {
  /// The regions of all experts.
  MOE_ADDRESS(const unsigned char) experts;
  long long expert_bytes;
  /// Gate and up, or down alone, as `up`.
  moe_matrix gate, up;
  moe_device_activation activation;
  /// [rows, columns]: of tokens where `slot_of_row` is there, else of rows; in `input_number`, f32 or bf16.
  MOE_ADDRESS(const void) input;
  MOE_ADDRESS(const int) slot_of_row;
  /// [slots]: multiplies what gate and up yield; null for nothing.
  MOE_ADDRESS(const float) weights;
  MOE_ADDRESS(const moe_tile) tiles;
  /// [rows, matrix rows] in `output_number`; row `indices[slot]` where `indices` is there.
  MOE_ADDRESS(void) output;
  /// [slots]
  MOE_ADDRESS(const int) indices;
  /// [rows]: the slots, for `indices`.
  MOE_ADDRESS(const int) slots;
  int input_number, output_number, top_k, is_gate_up;
} moe_product_arguments;

/// output[token] = Σ over slots, in order, of weight · rows[index of the slot]
typedef struct moe_device_combine_arguments {
  /// f32 [any, columns]
  MOE_ADDRESS(const float) rows;
  /// [tokens, top_k]: the row of a slot; negative ones are skipped.
  MOE_ADDRESS(const int) indices;
  /// [tokens, top_k]; a slot with a negative one is skipped. Null: indices say it.
  MOE_ADDRESS(const int) ids;
  /// [tokens, top_k]; null for 1.
  MOE_ADDRESS(const float) weights;
  /// [tokens, columns] in `output_number`
  MOE_ADDRESS(void) output;
  int tokens, top_k, columns, output_number;
} moe_device_combine_arguments;

/// output [tokens, rows] = input [tokens, columns] · weightsᵀ + bias, all f32.
typedef struct moe_linear_device_arguments {
  MOE_ADDRESS(const float) weights;
  /// Null for none.
  MOE_ADDRESS(const float) bias;
  MOE_ADDRESS(const float) input;
  MOE_ADDRESS(float) output;
  int tokens, rows, columns;
} moe_linear_device_arguments;

enum { MOE_SOFTMAX = 0, MOE_SIGMOID = 1, MOE_SQRT_SOFTPLUS = 2, MOE_SELECTED_SOFTMAX = 3 };
enum { MOE_NO_NORMALIZATION = 0, MOE_SUM = 1, MOE_CLAMPED_SUM = 2, MOE_P_NORM = 3 };

/// What `TopKRouter`, `HashRouter` and `SparseMixerRouter` are to the device.
typedef struct moe_route_arguments {
  /// [tokens, experts]
  MOE_ADDRESS(const float) logits;
  /// [experts] or null
  MOE_ADDRESS(const float) correction;
  /// [experts] or null
  MOE_ADDRESS(const float) expert_scale;
  /// [tokens] or null: rows that are skipped.
  MOE_ADDRESS(const unsigned char) is_padding;
  /// [tokens, top_k]; read instead of written where they are given.
  MOE_ADDRESS(int) ids;
  MOE_ADDRESS(float) weights;
  int tokens, experts, top_k, ids_are_given;
  int scoring, ranks_logits;
  /// 0: none
  float soft_cap;
  /// 0: none
  int groups;
  int kept_groups, sums_top_two, keeps_dropped_scores;
  float mask_value;
  int normalization;
  float normalization_number, scale;
  /// Of SparseMixer.
  float jitter;
} moe_route_arguments;

/// Experts that the router's kernels take, and slots of a token.
enum { MOE_ROUTE_EXPERTS = 1024, MOE_ROUTE_SLOTS = 32 };

/// See `ActivationScheme.apply`: of what shares a scale, and how the scale and the codes follow.
enum {
  MOE_FP8_TENSOR = 0,
  MOE_INT8_TENSOR = 1,
  MOE_FP8_TOKEN = 2,
  MOE_INT8_TOKEN = 3,
  MOE_FP8_GROUP = 4,
  MOE_MXFP8 = 5,
  MOE_MXFP4 = 6,
  MOE_NVFP4 = 7,
};

/// Replaces rows by what their codes and scales stand for.
typedef struct moe_quantize_arguments {
  /// [tokens or rows, columns] in `input_number`
  MOE_ADDRESS(const void) input;
  /// Rows are those of tokens where this is there.
  MOE_ADDRESS(const int) slot_of_row;
  /// [slots], multiplies a row first; null for nothing.
  MOE_ADDRESS(const float) weights;
  /// The number of rows, on the device.
  MOE_ADDRESS(const int) rows;
  /// f32 [rows, columns]; may be the input.
  MOE_ADDRESS(float) output;
  /// The bits of the greatest magnitude of all rows, where a scheme needs it.
  MOE_ADDRESS(unsigned) greatest;
  int input_number, top_k, columns, scheme;
  /// Columns that share a scale, and whether it is a power of two (MOE_FP8_GROUP).
  int group, is_power_of_two;
  /// Magnitudes above it don't count (MOE_FP8_TOKEN, MOE_INT8_TOKEN).
  float limit;
  /// Whether `scale` was stored.
  int is_static;
  float scale;
} moe_quantize_arguments;

/// What the kernels that measure a device read and do.
typedef struct moe_measure_arguments {
  MOE_ADDRESS(const void) memory;
  /// Of 16 bytes.
  long long words;
  /// Nothing is written to it, which the compiler doesn't know.
  MOE_ADDRESS(float) output;
  int rounds;
} moe_measure_arguments;

/// Operations of a block in a round of `moe_measure_bf16`, `moe_measure_e4m3` and `moe_measure_f32`.
enum {
  MOE_MEASURE_BF16_OPERATIONS = 1 << 22,
  MOE_MEASURE_E4M3_OPERATIONS = 1 << 23,
  MOE_MEASURE_F32_OPERATIONS = 1 << 19,
};

#endif
