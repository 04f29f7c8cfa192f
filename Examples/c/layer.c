// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// Loads the first MoE layer of a checkpoint and runs it three ways: the whole block, its experts by the routing that the
// block chose, and those again while the program does something else.
//
//     cc -I include layer.c -L lib -lmoe -o layer && LD_LIBRARY_PATH=lib ./layer Mixtral-8x7B-v0.1

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moe.h"

enum { TOKENS = 4 };

static void require(moe_result result) {
  if (result == MOE_OK) return;
  fprintf(stderr, "layer: %s\n", moe_last_error());
  exit(1);
}

static float *numbers(int64_t count) {
  float *values = calloc((size_t)count, sizeof(float));
  if (!values) exit(1);
  return values;
}

int main(int count, char **arguments) {
  if (count != 2) {
    fprintf(stderr, "usage: layer CHECKPOINT\n");
    return 64;
  }
  moe_checkpoint *checkpoint;
  require(moe_checkpoint_open(arguments[1], &checkpoint));
  char *plan;
  require(moe_checkpoint_plan(checkpoint, NULL, TOKENS, &plan));
  printf("%s\n", plan);
  moe_string_free(plan);

  moe_load_options options = moe_load_options_make();
  options.threads = 1;
  moe_layer *layer;
  require(moe_layer_load(checkpoint, 0, &options, &layer));
  require(moe_checkpoint_free(checkpoint));
  moe_layer_info info = moe_layer_info_make();
  require(moe_layer_describe(layer, &info));

  int64_t width = info.model_size;
  float *hidden = numbers(TOKENS * width), *block = numbers(TOKENS * width), *routed = numbers(TOKENS * width);
  for (int64_t i = 0; i < TOKENS * width; i++) hidden[i] = sinf((float)i);
  int32_t *ids = calloc((size_t)(TOKENS * info.top_k), sizeof(int32_t));
  float *weights = numbers(TOKENS * info.top_k);

  moe_batch batch = moe_batch_make();
  batch.hidden = moe_matrix(hidden, MOE_F32, TOKENS, width);
  batch.output = moe_matrix(block, MOE_F32, TOKENS, width);
  batch.routing_ids = moe_matrix(ids, MOE_I32, TOKENS, info.top_k);
  batch.routing_weights = moe_matrix(weights, MOE_F32, TOKENS, info.top_k);
  batch.whole_block = 1;
  require(moe_layer_forward(layer, &batch));
  for (int64_t token = 0; token < TOKENS; token++) {
    printf("token %d goes to", (int)token);
    for (int64_t slot = 0; slot < info.top_k; slot++)
      printf(" %d (%.3f)", ids[token * info.top_k + slot], (double)weights[token * info.top_k + slot]);
    printf("\n");
  }

  moe_batch given = moe_batch_make();
  given.hidden = batch.hidden;
  given.output = moe_matrix(routed, MOE_F32, TOKENS, width);
  given.topk_ids = batch.routing_ids;
  given.topk_weights = batch.routing_weights;
  moe_job *job;
  require(moe_layer_submit(layer, &given, &job));
  require(moe_job_wait(job));
  // A layer without shared experts and scales is its routed experts.
  int same = memcmp(block, routed, sizeof(float) * (size_t)(TOKENS * width)) == 0;
  printf("the experts alone give %s\n", same ? "the same" : "another result");

  int64_t *loads = calloc((size_t)info.id_count, sizeof(int64_t)), total = 0;
  require(moe_layer_loads(layer, loads, info.id_count, 0));
  for (int64_t expert = 0; expert < info.id_count; expert++) total += loads[expert];
  printf("%d of %d routed slots were counted\n", (int)total, (int)(2 * TOKENS * info.top_k));

  require(moe_layer_free(layer));
  if (moe_layer_forward(layer, &batch) != MOE_INVALID_HANDLE) return 1;
  printf("then: %s\n", moe_last_error());
  free(loads);
  free(weights);
  free(ids);
  free(routed);
  free(block);
  free(hidden);
  return same && total == 2 * TOKENS * info.top_k ? 0 : 1;
}
