// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#ifndef MOE_CPU_H
#define MOE_CPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

#define MOE_SWIFT_NAME(name) __attribute__((swift_name(name)))
#define MOE_CLOSED_ENUM __attribute__((enum_extensibility(closed)))

/// An instruction set that kernels are compiled for.
typedef enum MOE_CLOSED_ENUM moe_isa {
  /// 16-byte vectors, on any CPU.
  MOE_ISA_PORTABLE MOE_SWIFT_NAME("portable") = 0,
  /// AVX2, FMA and F16C.
  MOE_ISA_AVX2 MOE_SWIFT_NAME("avx2") = 1,
  /// AVX2 and dots of bytes (AVX-VNNI).
  MOE_ISA_AVXVNNI MOE_SWIFT_NAME("avxvnni") = 2,
  /// AVX-512 F, BW, VL and DQ.
  MOE_ISA_AVX512 MOE_SWIFT_NAME("avx512") = 3,
  /// AVX-512 with dots of bytes and lookups of bytes (VNNI, VBMI).
  MOE_ISA_AVX512VNNI MOE_SWIFT_NAME("avx512vnni") = 4,
  /// That and dots of bf16 (BF16).
  MOE_ISA_AVX512BF16 MOE_SWIFT_NAME("avx512bf16") = 5,
  /// AVX-512 with VNNI and VBMI, and tiles of bf16 and of bytes (AMX).
  MOE_ISA_AMX MOE_SWIFT_NAME("amx") = 6,
} moe_isa;

enum { MOE_ISA_COUNT = 7 };

/// True when this binary holds the kernels and this CPU (and its operating system) runs them. For AMX it asks the
/// operating system for the right to use tiles, which lasts as long as the process.
bool moe_isa_supported(moe_isa isa);

/// "portable", "avx2", "avx512vnni" …: the words of MOE_ISA.
const char *moe_isa_name(moe_isa isa);

/// The supported instruction set that is fastest here: the last one, but MOE_ISA_AVX512BF16 not on Intel's processors, whose
/// vdpbf16ps runs at half the rate of fp32 multiply-adds (AMD's at twice). Nothing is measured: other instructions give other
/// bits, so each run and each rank on a kind of processor must choose the same.
moe_isa moe_isa_best(void);

/// The kernels of one instruction set: a constant table, shared by all threads.
typedef struct moe_kernels moe_kernels;

/// Null when the instruction set is not supported here.
const moe_kernels *_Nullable moe_kernels_for(moe_isa isa);

/// Which instruction set a table is for.
moe_isa moe_kernels_isa(const moe_kernels *kernels);

/// CPUs in the affinity mask of the calling thread: what a pool may use.
int32_t moe_available_cpus(void);

/// Their numbers, ascending, at most `capacity`; returns how many were written, 0 where the system does not tell.
int32_t moe_available_cpu_list(int32_t *cpus, int32_t capacity);

/// Writes the names of the CPU's vector and matrix features, separated by spaces ("avx2 fma f16c …"), cut to
/// `capacity` bytes with the final zero.
void moe_cpu_features(char *buffer, size_t capacity);

/// Writes the CPU's model name, "unknown" when the system does not tell.
void moe_cpu_model(char *buffer, size_t capacity);

#pragma clang assume_nonnull end

#endif
