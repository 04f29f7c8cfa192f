// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#ifndef MOE_FORM_H
#define MOE_FORM_H

#include "moe_cpu.h"

#pragma clang assume_nonnull begin

/// An element type: of dense weights, and of the tensors they are packed from.
typedef enum MOE_CLOSED_ENUM moe_element {
  MOE_ELEMENT_F32 MOE_SWIFT_NAME("f32") = 0,
  MOE_ELEMENT_F16 MOE_SWIFT_NAME("f16") = 1,
  MOE_ELEMENT_BF16 MOE_SWIFT_NAME("bf16") = 2,
} moe_element;

enum { MOE_ELEMENT_COUNT = 3 };

/// Bytes of one element.
int64_t moe_element_bytes(moe_element element);

/// How a scale, a correction or a factor is stored.
typedef enum MOE_CLOSED_ENUM moe_number {
  MOE_NUMBER_F32 MOE_SWIFT_NAME("f32") = 0,
  MOE_NUMBER_F16 MOE_SWIFT_NAME("f16") = 1,
  MOE_NUMBER_BF16 MOE_SWIFT_NAME("bf16") = 2,
  /// 2^(byte - 127): of the numbers the one without a zero, so for scales only.
  MOE_NUMBER_E8M0 MOE_SWIFT_NAME("e8m0") = 3,
  /// 4 bits of exponent, 3 of fraction, no infinity.
  MOE_NUMBER_E4M3FN MOE_SWIFT_NAME("e4m3fn") = 4,
  MOE_NUMBER_U8 MOE_SWIFT_NAME("u8") = 5,
  MOE_NUMBER_I8 MOE_SWIFT_NAME("i8") = 6,
} moe_number;

enum { MOE_NUMBER_COUNT = 7 };

/// What is taken away from a coded weight, by output and group of inputs.
typedef enum MOE_CLOSED_ENUM moe_correction {
  /// table[code] · s
  MOE_CORRECTION_NONE MOE_SWIFT_NAME("none") = 0,
  /// (table[code] − zero) · s
  MOE_CORRECTION_ZERO MOE_SWIFT_NAME("zero") = 1,
  /// table[code] · s − m
  MOE_CORRECTION_MINIMUM MOE_SWIFT_NAME("minimum") = 2,
} moe_correction;

/// How the weights [outputs, inputs] of one projection are kept: dense in an element type, or as codes.
///
/// The value of a code of output n and input k, evaluated in fp32 as it is written, where g = k / group and
/// h = k / super_group:
///
///     s = scale[n, g] · factor[n, h]      m = minimum[n, g] · minimum_factor[n, h]
///
/// (without super-groups, s = scale and m = minimum), and `moe_correction` says what becomes of s and m.
typedef struct moe_form {
  /// Dense weights: the type. Codes: of no meaning.
  moe_element element;
  /// 0: dense, and no field below counts. 1 ... 8: codes of so many bits.
  int32_t bits;
  /// Inputs that share a scale and a correction, a multiple of 8; 0: all inputs. The last group may be short.
  int64_t group;
  /// Inputs that share a factor, a multiple of `group`; 0: no factors.
  int64_t super_group;
  moe_number scale;
  moe_correction correction;
  moe_number correction_number;
  /// Of both factors.
  moe_number factor;
  /// The entries of the table are whole multiples of a power of two that fit a byte: of 4 bits at most any such, else
  /// (code ^ flip) − offset. Then bytes of activations multiply them as integers.
  bool integral;
  /// Every entry of the table is a bf16; so are those of an integral form anyway.
  bool halves;
} moe_form;

/// Weights of an element type.
moe_form moe_form_dense(moe_element element);

/// Codes with a scale for each output and `group` inputs, without correction or factors.
moe_form moe_form_coded(int32_t bits, int64_t group, moe_number scale);

#pragma clang assume_nonnull end

#endif
