// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#define _GNU_SOURCE
#include "moe_cpu.h"

#include <string.h>

#if defined(__x86_64__) && !defined(MOE_PORTABLE)
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

enum { EAX, EBX, ECX, EDX };
enum { XCR0_AVX = 0x6, XCR0_AVX512 = 0xe6, XCR0_AMX = 0x60000 };

// What the operating system must save for the feature to be of use (bits of XCR0) stands beside the CPUID bit.
static const struct feature {
  const char *name;
  uint32_t leaf, subleaf;
  int word, bit;
  uint32_t saved;
} features[] = {
    {"avx", 1, 0, ECX, 28, XCR0_AVX},
    {"avx2", 7, 0, EBX, 5, XCR0_AVX},
    {"fma", 1, 0, ECX, 12, XCR0_AVX},
    {"f16c", 1, 0, ECX, 29, XCR0_AVX},
    {"avx_vnni", 7, 1, EAX, 4, XCR0_AVX},
    {"avx512f", 7, 0, EBX, 16, XCR0_AVX512},
    {"avx512bw", 7, 0, EBX, 30, XCR0_AVX512},
    {"avx512vl", 7, 0, EBX, 31, XCR0_AVX512},
    {"avx512dq", 7, 0, EBX, 17, XCR0_AVX512},
    {"avx512_vnni", 7, 0, ECX, 11, XCR0_AVX512},
    {"avx512_vbmi", 7, 0, ECX, 1, XCR0_AVX512},
    {"avx512_bf16", 7, 1, EAX, 5, XCR0_AVX512},
    {"avx512_fp16", 7, 0, EDX, 23, XCR0_AVX512},
    {"amx_tile", 7, 0, EDX, 24, XCR0_AMX},
    {"amx_int8", 7, 0, EDX, 25, XCR0_AMX},
    {"amx_bf16", 7, 0, EDX, 22, XCR0_AMX},
    {"amx_fp16", 7, 1, EAX, 21, XCR0_AMX},
};

static uint32_t saved_state(void) {
  uint32_t words[4];
  if (!__get_cpuid(1, &words[EAX], &words[EBX], &words[ECX], &words[EDX]) || !(words[ECX] >> 27 & 1)) return 0;
  uint32_t low, high;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

static bool has(const struct feature *feature) {
  uint32_t words[4];
  return __get_cpuid_count(feature->leaf, feature->subleaf, &words[EAX], &words[EBX], &words[ECX], &words[EDX]) &&
         (words[feature->word] >> feature->bit & 1) && (saved_state() & feature->saved) == feature->saved;
}

static bool has_all(const char *const *names) {
  for (; *names; names++)
    for (size_t i = 0; i < sizeof features / sizeof *features; i++)
      if (strcmp(features[i].name, *names) == 0 && !has(&features[i])) return false;
  return true;
}

/// A process must ask Linux for the room that tiles take in the state of each of its threads.
static bool may_use_tiles(void) {
#if defined(__linux__)
  enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
  return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
#else
  return false;
#endif
}

static bool ask(moe_isa isa) {
  static const char *const needed[MOE_ISA_COUNT][13] = {
      [MOE_ISA_PORTABLE] = {NULL},
      [MOE_ISA_AVX2] = {"avx2", "fma", "f16c", NULL},
      [MOE_ISA_AVXVNNI] = {"avx2", "fma", "f16c", "avx_vnni", NULL},
#define AVX512 "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512vl", "avx512dq"
      [MOE_ISA_AVX512] = {AVX512, NULL},
      [MOE_ISA_AVX512VNNI] = {AVX512, "avx512_vnni", "avx512_vbmi", NULL},
      [MOE_ISA_AVX512BF16] = {AVX512, "avx512_vnni", "avx512_vbmi", "avx512_bf16", NULL},
      [MOE_ISA_AMX] = {AVX512, "avx512_vnni", "avx512_vbmi", "amx_tile", "amx_int8", "amx_bf16", NULL},
#undef AVX512
  };
  return has_all(needed[isa]) && (isa != MOE_ISA_AMX || may_use_tiles());
}

/// AMD's vdpbf16ps runs at twice the rate of fp32 multiply-adds, Intel's at half of it.
static bool has_fast_pairs(void) {
  static const char slow[] = "GenuineIntel";
  uint32_t words[4];
  if (!__get_cpuid(0, &words[EAX], &words[EBX], &words[ECX], &words[EDX])) return false;
  const uint32_t name[] = {words[EBX], words[EDX], words[ECX]};
  return memcmp(name, slow, sizeof name) != 0;
}

static void append(char *buffer, size_t capacity, const char *text) {
  size_t used = strlen(buffer);
  for (; *text && used + 1 < capacity; text++) buffer[used++] = *text;
  buffer[used] = 0;
}

void moe_cpu_features(char *buffer, size_t capacity) {
  if (capacity == 0) return;
  *buffer = 0;
  for (size_t i = 0; i < sizeof features / sizeof *features; i++) {
    if (!has(&features[i])) continue;
    if (*buffer) append(buffer, capacity, " ");
    append(buffer, capacity, features[i].name);
  }
}

void moe_cpu_model(char *buffer, size_t capacity) {
  if (capacity == 0) return;
  *buffer = 0;
  uint32_t words[13] = {0};  // 48 bytes of text and a zero
  for (uint32_t i = 0; i < 3; i++)
    if (!__get_cpuid(0x80000002 + i, &words[4 * i], &words[4 * i + 1], &words[4 * i + 2], &words[4 * i + 3])) break;
  const char *text = (const char *)words;
  text += strspn(text, " ");
  append(buffer, capacity, *text ? text : "unknown");
}

#else

static bool ask(moe_isa isa) { return isa == MOE_ISA_PORTABLE; }

static bool has_fast_pairs(void) { return false; }

void moe_cpu_features(char *buffer, size_t capacity) {
  if (capacity > 0) *buffer = 0;
}

void moe_cpu_model(char *buffer, size_t capacity) {
  if (capacity == 0) return;
  strncpy(buffer, "unknown", capacity - 1);
  buffer[capacity - 1] = 0;
}

#endif

bool moe_isa_supported(moe_isa isa) {
  // CPUID leaves a virtual machine for its host, which takes longer than a small layer: never twice.
  enum { UNKNOWN, NO, YES };
  static _Atomic int8_t known[MOE_ISA_COUNT];
  if (known[isa] == UNKNOWN) known[isa] = ask(isa) ? YES : NO;
  return known[isa] == YES;
}

moe_isa moe_isa_best(void) {
  enum { UNKNOWN = -1 };
  static _Atomic int8_t best = UNKNOWN;
  if (best == UNKNOWN) {
    moe_isa isa = MOE_ISA_COUNT - 1;
    while (!moe_isa_supported(isa) || (isa == MOE_ISA_AVX512BF16 && !has_fast_pairs())) isa--;
    best = (int8_t)isa;
  }
  return (moe_isa)best;
}

const char *moe_isa_name(moe_isa isa) {
  static const char *const names[MOE_ISA_COUNT] = {"portable",   "avx2",       "avxvnni", "avx512",
                                                    "avx512vnni", "avx512bf16", "amx"};
  return names[isa];
}
