// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// What 16-byte vectors of any CPU can.

#define LANES 4
#define EACH_ROWS(F, e) F(e, 1) F(e, 2) F(e, 3) F(e, 4) F(e, 5) F(e, 6)
#define MOST_ROWS {6, 6, 6, 0, 0, 6}
#define TILE_SUMS 8
#define TILE_SUMS_AT_MOST 8
#define TILE_VECTORS 2
#define EACH_STREAM_ROWS(F, s, k, w) F(s, k, w, 1) F(s, k, w, 2)
#define STREAM_ROWS 2
