// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// The experts layer of mixture-of-experts models, for programs in C and for everything that calls C.
///
///     moe_checkpoint *checkpoint;
///     moe_layer *layer;
///     if (moe_checkpoint_open("Mixtral-8x7B-v0.1", &checkpoint) != MOE_OK) return fail(moe_last_error());
///     if (moe_layer_load(checkpoint, 0, NULL, &layer) != MOE_OK) return fail(moe_last_error());
///     moe_batch batch = moe_batch_make();
///     batch.hidden = moe_matrix(hidden, MOE_F32, tokens, 4096);
///     batch.output = moe_matrix(output, MOE_F32, tokens, 4096);
///     batch.whole_block = 1;
///     moe_layer_forward(layer, &batch);
///
/// **Results.** Every function that can fail returns a `moe_result`, and then `moe_last_error` says what is wrong, one
/// fault on a line. What a function gives through a pointer is written only when it succeeds.
///
/// **Bad input** ends in a result, never in a crash: null pointers, handles that were freed or never were, handles of
/// another kind, wrong types, shapes and strides, ids out of range. What can't be told is memory that isn't there: a
/// tensor must have the bytes that its shape and strides say.
///
/// **Threads.** All functions may be called from any thread at any time. Forwards of layers with the same backend and
/// number of threads follow each other, since they share workers. Whoever frees a handle while another thread uses it
/// ends nothing: that call finishes.
///
/// **fork.** Handles stay good in a child that was forked while no other thread was inside a call, and workers are
/// started anew there. Jobs that were under way in the parent are lost to the child: waiting for one is an error.
///
/// **Numbers.** Inputs are widened to 32-bit floats, everything accumulates in 32 bits or wider, outputs are rounded to
/// nearest even.

#ifndef MOE_H
#define MOE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifdef __clang__
#pragma clang assume_nonnull begin
#define MOE_NULLABLE _Nullable
#else
#define MOE_NULLABLE
#endif

#define MOE_API __attribute__((visibility("default")))

/* Versions */

/// Grows when a structure grows or a function is added. What was there stays as it was.
#define MOE_ABI_VERSION 1

/// The `MOE_ABI_VERSION` that the library was built with: at least the header's, or the program must not go on.
MOE_API uint32_t moe_abi_version(void);

/// The version of the library, such as "0.1.0". Not to be freed.
MOE_API const char *moe_version(void);

/* Results */

typedef int32_t moe_result;
enum {
  MOE_OK = 0,
  /// An argument is null, or of the wrong type, shape, stride or value.
  MOE_INVALID_ARGUMENT = 1,
  /// A handle is null, was freed, or is of another kind; or a job is of another process.
  MOE_INVALID_HANDLE = 2,
  /// A checkpoint is none, or something in it is missing, damaged or contradictory.
  MOE_INVALID_CHECKPOINT = 3,
  /// Asked for is what this library, backend or machine does not do.
  MOE_UNSUPPORTED = 4,
  MOE_OUT_OF_MEMORY = 5,
  /// A GPU, its driver or its compiler is not there, or failed.
  MOE_DEVICE = 6,
};

/// Why the last function that failed on this thread did, one fault on a line; "" before any failed. Good until the next
/// failure on this thread.
MOE_API const char *moe_last_error(void);

/// Frees a text that a function gave. Null is fine.
MOE_API void moe_string_free(char *MOE_NULLABLE text);

/* Tensors */

typedef int32_t moe_dtype;
enum {
  MOE_F64 = 1,
  MOE_F32 = 2,
  MOE_F16 = 3,
  MOE_BF16 = 4,
  MOE_F8_E4M3 = 5,
  MOE_F8_E5M2 = 6,
  MOE_F8_E4M3FNUZ = 7,
  MOE_F8_E5M2FNUZ = 8,
  MOE_F8_E8M0 = 9,
  MOE_F4 = 10,
  MOE_I64 = 11,
  MOE_U64 = 12,
  MOE_I32 = 13,
  MOE_U32 = 14,
  MOE_I16 = 15,
  MOE_U16 = 16,
  MOE_I8 = 17,
  MOE_U8 = 18,
  MOE_BOOL = 19,
};

#define MOE_MAX_RANK 4

/// An array in host memory, at any alignment. A tensor without `data` is one that is not given; where it has no
/// elements, `data` may be any pointer but null.
typedef struct moe_tensor {
  void *MOE_NULLABLE data;
  moe_dtype dtype;
  int32_t rank;
  int64_t shape[MOE_MAX_RANK];
  /// In elements. Strides of tensors that are written must keep their elements apart. Those of axes with one element
  /// are not looked at.
  int64_t strides[MOE_MAX_RANK];
} moe_tensor;

/// A matrix `[rows, columns]`, row after row.
static inline moe_tensor moe_matrix(void *MOE_NULLABLE data, moe_dtype dtype, int64_t rows, int64_t columns) {
  moe_tensor tensor = {data, dtype, 2, {rows, columns, 0, 0}, {columns, 1, 0, 0}};
  return tensor;
}

/* Options */

// Structures begin with their size, so that a later library knows which fields the program has. What is 0 is the
// default, and `moe_…_make` gives a structure of defaults.

#define MOE_DEFINE_MAKE(name)            \
  static inline name name##_make(void) { \
    name value;                          \
    memset(&value, 0, sizeof(value));    \
    value.struct_size = sizeof(value);   \
    return value;                        \
  }

/// Where and how experts are kept and computed.
typedef struct moe_load_options {
  size_t struct_size;
  /// "cpu" (when null), "cuda" or "cuda:N" for an NVIDIA GPU, or "reference".
  const char *MOE_NULLABLE backend;
  /// What weights are converted or quantised to while they load, such as "bf16", "fp8-block", "int4-g128" or "q4_k"; as
  /// they are when null.
  const char *MOE_NULLABLE weight_type;
  /// Precision of activations: "f32" (when null, but "bf16" with cuda), "bf16", "int8" (cpu), "fp8" (cuda), or "declared":
  /// what the checkpoint declares (reference, cuda).
  const char *MOE_NULLABLE activations;
  /// Workers; 0 is `MOE_THREADS` or one for each processor of the affinity mask.
  int32_t threads;
  /// The grid of ranks and the place in it: rank = expert rank · tensor_parallel + tensor rank. 0 is 1.
  int32_t tensor_parallel;
  int32_t expert_parallel;
  int32_t rank;
  /// Whether a layer is loaded without its gate, router, shared experts and latent projections. Of a grid of more than
  /// one rank these are never loaded.
  int32_t experts_only;
} moe_load_options;
MOE_DEFINE_MAKE(moe_load_options)

/* Checkpoints */

typedef struct moe_checkpoint moe_checkpoint;

/// Reads the headers of a checkpoint, a folder, a safetensors or a GGUF file, and proves its MoE layers whole by them.
///
/// `MOE_INVALID_CHECKPOINT` lists everything that is wrong. The file handles stay open until the checkpoint is freed.
MOE_API moe_result moe_checkpoint_open(const char *MOE_NULLABLE path,
                                       moe_checkpoint *MOE_NULLABLE *MOE_NULLABLE checkpoint);
MOE_API moe_result moe_checkpoint_free(moe_checkpoint *MOE_NULLABLE checkpoint);

/// What the checkpoint has, as JSON: `{"architecture", "layers": [{"index", "experts", "hidden_size", …}], "notes"}`.
MOE_API moe_result moe_checkpoint_describe(moe_checkpoint *MOE_NULLABLE checkpoint,
                                           char *MOE_NULLABLE *MOE_NULLABLE json);

/// The tensors that a layer's routed experts are stored in, as JSON: `[{"name", "type", "shape"}, …]`; those that a loader
/// of the layer must be given.
MOE_API moe_result moe_checkpoint_tensors(moe_checkpoint *MOE_NULLABLE checkpoint, int32_t layer,
                                          char *MOE_NULLABLE *MOE_NULLABLE json);

/// What each rank of the grid would read and hold, as JSON: the object of `moe plan --json`.
///
/// `max_tokens`: the most tokens of a batch, for the workspace.
MOE_API moe_result moe_checkpoint_plan(moe_checkpoint *MOE_NULLABLE checkpoint,
                                       const moe_load_options *MOE_NULLABLE options, int64_t max_tokens,
                                       char *MOE_NULLABLE *MOE_NULLABLE json);

/// Everything that is wrong or odd with a checkpoint, as JSON: the object of `moe check --json`. What it finds is no
/// failure of the function, not even that the path is no checkpoint.
///
/// `headers_only`: not 0 reads no values.
MOE_API moe_result moe_check(const char *MOE_NULLABLE path, int32_t headers_only,
                             char *MOE_NULLABLE *MOE_NULLABLE json);

/* Layers */

/// The experts of one layer in memory, perhaps with the gate, the router and the shared experts around them.
typedef struct moe_layer moe_layer;

/// Loads a layer by its number in the model.
MOE_API moe_result moe_layer_load(moe_checkpoint *MOE_NULLABLE checkpoint, int32_t layer,
                                  const moe_load_options *MOE_NULLABLE options,
                                  moe_layer *MOE_NULLABLE *MOE_NULLABLE out);

/// The weights of all experts of a layer in memory, without gaps: F32, BF16 or F16.
///
/// Either `gate_up` or `up`, with `gate` where the activation has one. Shapes are `[experts, out, in]`, or `[experts,
/// in, out]` where they are input-major: gate and up `[experts, I, H]`, gate_up `[experts, 2I, H]`, down `[experts, H,
/// I]`. Biases are `[experts, out]`, all of them there or none.
typedef struct moe_weights {
  size_t struct_size;
  moe_tensor gate_up, gate, up, down;
  moe_tensor gate_up_bias, gate_bias, up_bias, down_bias;
  /// Not 0: `[experts, in, out]`.
  int32_t input_major;
  /// Not 0: rows of gate and up alternate in gate_up, gate first. Otherwise gate is its first half.
  int32_t interleaved;
  /// "silu", "gelu", "gelu_tanh", "swigluoai", "relu2_no_mul", …
  const char *MOE_NULLABLE activation;
  /// The slope of the sigmoid and the clamp before it; 0 is what the name says.
  float alpha;
  float limit;
  /// Not 0: the router's weight multiplies the expert's input.
  int32_t weight_on_input;
} moe_weights;
MOE_DEFINE_MAKE(moe_weights)

/// Packs experts from memory, which is read during the call only, converting them as the options say.
MOE_API moe_result moe_layer_create(const moe_weights *MOE_NULLABLE weights,
                                    const moe_load_options *MOE_NULLABLE options,
                                    moe_layer *MOE_NULLABLE *MOE_NULLABLE out);

/// The activation of `weights` for one value of gate and up, in 64 bits. Only its activation, alpha and limit are read.
MOE_API moe_result moe_activation_value(const moe_weights *MOE_NULLABLE weights, double gate, double up,
                                        double *MOE_NULLABLE out);

MOE_API moe_result moe_layer_free(moe_layer *MOE_NULLABLE layer);

typedef struct moe_layer_info {
  size_t struct_size;
  /// The width of the routed experts' input and output.
  int64_t hidden_size;
  /// The width of the whole block's, which may be greater.
  int64_t model_size;
  /// Of this rank's share.
  int64_t intermediate_size;
  /// All experts of the layer, and those that this rank holds.
  int64_t expert_count;
  int64_t local_expert_count;
  /// Ids of a routing: experts, and those that have no weights.
  int64_t id_count;
  /// Slots of a token in the routings of the router; 0 without one.
  int64_t top_k;
  /// Bytes of the routed experts.
  int64_t resident_bytes;
  /// Whether logits can be routed, and whether the whole block can run.
  int32_t has_router;
  int32_t has_block;
} moe_layer_info;
MOE_DEFINE_MAKE(moe_layer_info)

/// `info->struct_size` must be set; no field beyond it is written.
MOE_API moe_result moe_layer_describe(moe_layer *MOE_NULLABLE layer, moe_layer_info *MOE_NULLABLE info);

/// One forward. Hidden states, logits and weights are F32, BF16 or F16, each in a type of its own; ids are I32 or I64.
typedef struct moe_batch {
  size_t struct_size;
  /// `[tokens, hidden_size]`, or `[tokens, model_size]` for the whole block.
  moe_tensor hidden;
  /// Likewise. It is written after everything was read, so it may overlap the other tensors.
  moe_tensor output;
  /// Routing given: `[tokens, k]` both. An id of -1 is skipped; on a rank, so are experts that other ranks hold.
  moe_tensor topk_ids;
  moe_tensor topk_weights;
  /// Or logits for the router: `[tokens, id_count]`. Without either the layer's gate makes them of `hidden`, which needs
  /// `whole_block`.
  moe_tensor router_logits;
  /// `[tokens]`, for layers that route by token.
  moe_tensor token_ids;
  /// Where the routing is written, if anywhere: `[tokens, top_k]` both, ids as I32 or I64, weights as any float.
  moe_tensor routing_ids;
  moe_tensor routing_weights;
  /// 0: Σ weight · expert of the routed experts (of this rank). Not 0: with shared experts, scales and projections.
  int32_t whole_block;
} moe_batch;
MOE_DEFINE_MAKE(moe_batch)

MOE_API moe_result moe_layer_forward(moe_layer *MOE_NULLABLE layer, const moe_batch *MOE_NULLABLE batch);

/// The number of routed slots that each expert id has had in all forwards, `counts[0 ..< id_count]`, −1 left out.
///
/// `count`: the room in `counts`, at least `id_count`. `reset` not 0: counting begins anew.
MOE_API moe_result moe_layer_loads(moe_layer *MOE_NULLABLE layer, int64_t *MOE_NULLABLE counts, int64_t count,
                                   int32_t reset);

/* Jobs */

typedef struct moe_job moe_job;

/// A forward that runs later, in the order of submission, on a thread of the library. The batch is copied and checked
/// at once; what its tensors point to must stay until the job was waited for.
MOE_API moe_result moe_layer_submit(moe_layer *MOE_NULLABLE layer, const moe_batch *MOE_NULLABLE batch,
                                    moe_job *MOE_NULLABLE *MOE_NULLABLE job);

/// Waits for the end of a job, frees it and returns its result. Only one thread may wait for a job.
MOE_API moe_result moe_job_wait(moe_job *MOE_NULLABLE job);

/* Tensors pushed by name */

/// Loads a layer from tensors that come from elsewhere than the checkpoint's files, under its names and with its shapes:
/// a stream from another process, the weights of a training step.
typedef struct moe_loader moe_loader;

/// What the layer has besides routed experts is read from the checkpoint.
MOE_API moe_result moe_loader_create(moe_checkpoint *MOE_NULLABLE checkpoint, int32_t layer,
                                     const moe_load_options *MOE_NULLABLE options,
                                     moe_loader *MOE_NULLABLE *MOE_NULLABLE out);
/// Takes a whole tensor without gaps; its bytes are copied. In any order, from any threads.
MOE_API moe_result moe_loader_push(moe_loader *MOE_NULLABLE loader, const char *MOE_NULLABLE name,
                                   const moe_tensor *MOE_NULLABLE tensor);
/// Gives the layer when every tensor has come, otherwise lists those that haven't. After it, a second stream may be
/// pushed: it replaces the experts of the same layer in place, and `out` may then be null.
MOE_API moe_result moe_loader_finish(moe_loader *MOE_NULLABLE loader, moe_layer *MOE_NULLABLE *MOE_NULLABLE out);
MOE_API moe_result moe_loader_free(moe_loader *MOE_NULLABLE loader);

#ifdef __clang__
#pragma clang assume_nonnull end
#endif

#ifdef __cplusplus
}
#endif

#endif
