# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 the swift-moe project authors

"""How many batches of a number of tokens take turns."""

MOST = 8


def batches(tokens):
    return MOST if tokens < 64 else 4
