// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#ifndef MOE_HOPPER_H
#define MOE_HOPPER_H

// What the host and the kernels for Hopper say to each other: read by C, by Swift and by NVRTC. Weights' addresses are those
// of the first expert; `expertBytes` leads from any of them to the next expert's.

#include "moe_device.h"

/// Between the two products; a limit that isn't there is infinite. For SiTU, `slope` and `squash` are its two β.
typedef struct moe_hopper_activation {
  float alpha, beta, limit, limitAfter, slope, squash;
} moe_hopper_activation;

/// What the kernels take at most.
enum {
  MOE_HOPPER_EXPERTS = 1024,
  /// Tokens of the stream, and their (token, slot) pairs.
  MOE_HOPPER_STREAM_TOKENS = 8,
  MOE_HOPPER_STREAM_PAIRS = 256,
  /// Stages of the stream's ring, and what it keeps in shared memory before it.
  MOE_HOPPER_STREAM_STAGES = 24,
  MOE_HOPPER_STREAM_BYTES = 28672,
};

/// A grid's meeting place in device memory, zeroed once; every launch leaves it ready for the next.
typedef struct moe_hopper_grid {
  unsigned arrivals;
  /// How many tiles were drawn beyond each block's first, of gate and up, and of down.
  unsigned drawn[2];
  /// Which of `greatest` the next stream takes.
  unsigned turn;
  /// [2, touched experts, tokens]: the greatest magnitude of each row of the stream's intermediate as the bits of a float, where
  /// rows have one scale. A stream raises one half from 0 on and zeroes the other, of the stream before it.
  unsigned greatest[2][MOE_HOPPER_STREAM_PAIRS][MOE_HOPPER_STREAM_TOKENS];
} moe_hopper_grid;

/// f32 as bf16.
typedef struct moe_hopper_round_arguments {
  /// [count] f32
  MOE_ADDRESS(const float) input;
  /// [count] bf16
  MOE_ADDRESS(unsigned short) output;
  /// Of 8 values.
  long long count;
} moe_hopper_round_arguments;

/// The whole layer of at most 8 tokens.
typedef struct moe_hopper_stream_arguments {
  /// [tokens, hidden] bf16
  MOE_ADDRESS(const unsigned short) input;
  /// [tokens, topK]; what is no expert is skipped.
  MOE_ADDRESS(const int) topKIds;
  /// [tokens, topK]
  MOE_ADDRESS(const float) topKWeights;
  /// [2, inner, hidden]
  MOE_ADDRESS(const unsigned char) gateUp;
  /// [hidden, inner]
  MOE_ADDRESS(const unsigned char) down;
  /// e4m3: fp32 [2, ceil(inner / 128), P(hidden)] or, of rows, [2, inner]
  MOE_ADDRESS(const unsigned char) gateUpScales;
  /// e4m3: fp32 [ceil(hidden / 128), P(inner)] or, of rows, [hidden]
  MOE_ADDRESS(const unsigned char) downScales;
  /// fp32 [2, inner] or null
  MOE_ADDRESS(const unsigned char) gateUpBias;
  /// fp32 [hidden] or null
  MOE_ADDRESS(const unsigned char) downBias;
  long long expertBytes;
  /// [tokens · topK, tokens, inner] bf16: scratch
  MOE_ADDRESS(unsigned short) intermediate;
  /// [tokens, hidden] bf16 or f32
  MOE_ADDRESS(void) output;
  MOE_ADDRESS(moe_hopper_grid) grid;
  moe_hopper_activation activation;
  int tokenCount, topK, hidden, inner, stages, weightOnInput, experts, outputIsFloat;
} moe_hopper_stream_arguments;

/// Rows by expert.
typedef struct moe_hopper_sort_arguments {
  /// [pairs]; what is no expert is left out.
  MOE_ADDRESS(const int) ids;
  /// [experts + 1]: the first row of each expert
  MOE_ADDRESS(int) offsets;
  /// [pairs]: the pair of each row
  MOE_ADDRESS(int) rows;
  /// [blocks, experts]: scratch
  MOE_ADDRESS(int) counts;
  MOE_ADDRESS(moe_hopper_grid) grid;
  int pairs, experts;
} moe_hopper_sort_arguments;

/// Rows as e4m3 with a scale for each 128 columns, or for each row.
typedef struct moe_hopper_quantize_arguments {
  /// [rows, columns] bf16
  MOE_ADDRESS(const unsigned short) input;
  /// [rows, columns] e4m3; with a scale for each row in the order of `e2m1.cuh`, and columns up to a multiple of 128
  MOE_ADDRESS(unsigned char) codes;
  /// [rows, ceil(columns / 128)] or [rows]
  MOE_ADDRESS(float) scales;
  int rows, columns;
  /// With a scale for each row: how many there are, known when the kernel before has ended; or null: `rows`.
  MOE_ADDRESS(const int) rowCount;
} moe_hopper_quantize_arguments;

/// What a grouped product reads.
typedef struct moe_hopper_sources {
  /// [tokens, columns] bf16 or e4m3, gathered (not for down)
  MOE_ADDRESS(const unsigned char) input;
  /// e4m3: [tokens or, for down, sorted rows, ceil(columns / 128)], or one for each
  MOE_ADDRESS(const float) inputScales;
  /// e4m3: fp32 [2, ceil(width / 128), P(columns)] or, for down, without the 2
  MOE_ADDRESS(const unsigned char) weightScales;
  /// [pairs]: the pair of each sorted row
  MOE_ADDRESS(const int) rows;
  int topK, columns;
} moe_hopper_sources;

/// What it writes.
typedef struct moe_hopper_results {
  /// [sorted rows, width] bf16 or e4m3 or, for down, [pairs, width] bf16
  MOE_ADDRESS(unsigned char) output;
  /// e4m3: [sorted rows, ceil(width / 128)]
  MOE_ADDRESS(float) outputScales;
  /// [pairs] or null: the router's weights, where they go on the input
  MOE_ADDRESS(const float) inputWeights;
  /// fp32 [2, width] or, for down and without a gate, [width]; or null
  MOE_ADDRESS(const unsigned char) bias;
  moe_hopper_activation activation;
  int width;
} moe_hopper_results;

/// One product of all experts with their rows; before it two tensor maps, of the weights and, for down, of the rows.
typedef struct moe_hopper_grouped_arguments {
  /// [experts + 1]
  MOE_ADDRESS(const int) offsets;
  moe_hopper_sources sources;
  moe_hopper_results results;
  /// From an expert's scales and bias to the next one's.
  long long expertBytes;
  MOE_ADDRESS(moe_hopper_grid) grid;
  int experts;
} moe_hopper_grouped_arguments;

/// output[token] = Σ over slots, in order, of weight · rows[token, slot]
typedef struct moe_hopper_combine_arguments {
  /// [tokens, topK, hidden] bf16
  MOE_ADDRESS(const unsigned short) rows;
  /// [tokens, topK]; what is no expert is skipped.
  MOE_ADDRESS(const int) ids;
  /// [tokens, topK]; null for 1
  MOE_ADDRESS(const float) weights;
  /// [tokens, hidden] bf16 or f32
  MOE_ADDRESS(void) output;
  int tokenCount, topK, hidden, experts, outputIsFloat;
  /// [tokens]: the row of the output, and nothing is written for a token without an expert; null: the token's own.
  MOE_ADDRESS(const int) places;
} moe_hopper_combine_arguments;

#endif
