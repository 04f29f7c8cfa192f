// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// The weights of an expert, whatever form they are kept in: one reader for dense numbers and for codes.
#pragma once
#include "numbers.cuh"

/// Codes that a table holds at most.
constexpr int tableSize = 256;

/// A matrix in the region of its expert.
struct Matrix {
  const moe_matrix &form;
  const unsigned char *region;
  /// In shared memory, once `loadTable` has run.
  float *table;

  /// Every thread of the block calls it, and waits for all before it reads.
  __device__ void loadTable() const {
    for (int code = threadIdx.x; code < 1 << form.bits && form.bits > 0; code += blockDim.x)
      table[code] = ((const float *)(region + form.table))[code];
  }

  __device__ bool isBF16() const { return form.bits == 0 && form.number == MOE_BF16; }

  /// 8 dense numbers of 16 bits as they are.
  __device__ uint4 words(int row, int column) const {
    return *(const uint4 *)(region + form.weights + row * form.row_bytes + column * 2);
  }

  __device__ float bias(int row) const { return form.has_bias ? ((const float *)(region + form.bias))[row] : 0.f; }

  /// The weights of 8 columns, bit for bit those that the format's decoder gives.
  __device__ void read(int row, int column, float (&values)[8]) const {
    const unsigned char *start = region + form.weights + row * form.row_bytes;
    if (form.bits == 0) return numbers8(start, form.number, column, values);
    const unsigned long long codes = word(start + (column >> 3) * form.bits);
    const int group = row * form.groups + column / form.group;
    float scale = number(region + form.scales, form.scale, group);
    float correction =
        form.correction == MOE_NOTHING ? 0.f : number(region + form.corrections, form.correction_number, group);
    if (form.super_group > 0) {
      const int super = row * form.super_groups + column / form.super_group;
      scale = number(region + form.factors, form.factor, super) * scale;
      if (form.correction == MOE_MINIMUM)
        correction = number(region + form.minimum_factors, form.factor, super) * correction;
    }
    const unsigned mask = (1u << form.bits) - 1;
#pragma unroll
    for (int i = 0; i < 8; i++) {
      const float value = table[(unsigned)(codes >> (i * form.bits)) & mask];
      // Rounded after each step, as on the host.
      values[i] = form.correction == MOE_ZERO      ? __fmul_rn(__fsub_rn(value, correction), scale)
                  : form.correction == MOE_MINIMUM ? __fsub_rn(__fmul_rn(value, scale), correction)
                                                   : __fmul_rn(value, scale);
    }
  }

 private:
  /// The codes of 8 columns.
  __device__ unsigned long long word(const unsigned char *bytes) const {
    switch (form.bits) {
      case 8: return *(const unsigned long long *)bytes;
      case 4: return *(const unsigned *)bytes;
      case 2: return *(const unsigned short *)bytes;
      case 1: return *bytes;
      default: {
        unsigned long long codes = 0;
        for (int i = 0; i < form.bits; i++) codes |= (unsigned long long)bytes[i] << (8 * i);
        return codes;
      }
    }
  }
};

/// What a block of a product multiplies: the rows of two panels of weights by the rows of its tile.
///
/// Gate and up of the same columns where there is a gate, so that one thread has both; else two panels of one matrix.
template <int panelRows>
struct Panels {
  const moe_product_arguments &p;
  const moe_tile tile;
  const unsigned char *region;
  float (&tables)[2][tableSize];
  const bool isPaired;

  __device__ Panels(const moe_product_arguments &p, float (&tables)[2][tableSize])
      : p(p), tile(p.tiles[blockIdx.x]), region(p.experts + tile.expert * p.expert_bytes), tables(tables),
        isPaired(p.is_gate_up && p.activation.is_gated) {
    for (int panel = 0; panel < 2; panel++) matrix(panel).loadTable();
  }

  __device__ Matrix matrix(int panel) const { return {isPaired && panel == 0 ? p.gate : p.up, region, tables[panel]}; }

  /// The first row of a panel in its matrix.
  __device__ int firstRow(int panel) const {
    return isPaired ? blockIdx.y * panelRows : (blockIdx.y * 2 + panel) * panelRows;
  }

  __device__ int columns() const { return p.up.columns; }

  /// The row of the input that a row of the tile multiplies; −1 beyond the tile.
  __device__ int inputRow(int row) const {
    if (tile.first_row + row >= tile.end_row) return -1;
    return p.slot_of_row ? p.slot_of_row[tile.first_row + row] / p.top_k : tile.first_row + row;
  }

  /// 8 columns of a row of a panel, zeros beyond the matrix.
  __device__ void weights(int panel, int row, int column, float (&values)[8]) const {
    const int matrixRow = firstRow(panel) + row;
    if (matrixRow < p.up.rows && column < columns()) return matrix(panel).read(matrixRow, column, values);
#pragma unroll
    for (int i = 0; i < 8; i++) values[i] = 0;
  }
};
