// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#include "moe_form.h"

int64_t moe_element_bytes(moe_element element) { return element == MOE_ELEMENT_F32 ? 4 : 2; }

moe_form moe_form_dense(moe_element element) { return (moe_form){.element = element}; }

moe_form moe_form_coded(int32_t bits, int64_t group, moe_number scale) {
  return (moe_form){.bits = bits, .group = group, .scale = scale};
}
