// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// Products of one warpgroup: 64 weight rows times N tokens, from shared memory in rows of 128 bytes, swizzled; weights may
// come from registers.
#pragma once
#include "common.cuh"

namespace wgmma {

/// Where an operand lies: rows of 128 bytes in groups of 8, of which every `apart`th is meant; 16-byte chunk c of row r at
/// c ^ (r % 8).
__device__ __forceinline__ u64 descriptor(u32 address, int apart = 1) {
  return (u64)(address >> 4 & 0x3fff) | (u64)1 << 16 | (u64)(64 * apart) << 32 | (u64)1 << 62;
}
/// A half of 128 rows: the halves take groups of 8 in turns, so that a warp has neighbours.
__device__ __forceinline__ u64 halfOf(u32 rows, int half) { return descriptor(rows + half * 8 * 128, 2); }
/// In units of a descriptor's address.
constexpr u64 descriptorBytes(int bytes) { return bytes >> 4; }

/// Before the first product, and after registers of an operand or a sum were touched.
__device__ __forceinline__ void begin() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ __forceinline__ void commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
/// Until at most `pending` committed groups run.
template <int pending> __device__ __forceinline__ void wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(pending) : "memory");
}
/// What is computed from `d` stays behind a wait that comes before this.
template <int count> __device__ __forceinline__ void hold(float (&d)[count]) {
#pragma unroll
  for (int i = 0; i < count; ++i) asm volatile("" : "+f"(d[i])::"memory");
}
// The operands' names: registers of the sums by eights, then the two descriptors and the predicate.
#define R0 "%0,%1,%2,%3"
#define R1 R0 ",%4,%5,%6,%7"
#define R2 R1 ",%8,%9,%10,%11,%12,%13,%14,%15"
#define R3 R2 ",%16,%17,%18,%19,%20,%21,%22,%23"
#define R4 R3 ",%24,%25,%26,%27,%28,%29,%30,%31"
#define R5 R4 ",%32,%33,%34,%35,%36,%37,%38,%39"
#define R6 R5 ",%40,%41,%42,%43,%44,%45,%46,%47"
#define R6H R6 ",%48,%49,%50,%51"
#define R7 R6H ",%52,%53,%54,%55"
#define R7H R7 ",%56,%57,%58,%59"
#define R8 R7H ",%60,%61,%62,%63"
#define R8H R8 ",%64,%65,%66,%67"
#define R9 R8H ",%68,%69,%70,%71"
#define R9H R9 ",%72,%73,%74,%75"
#define R10 R9H ",%76,%77,%78,%79"
#define S4(i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3])
#define S8(i) S4(i), S4(i + 4)
#define S16(i) S8(i), S8(i + 8)
#define S32 S16(0), S16(16)
#define S40 S32, S8(32)
#define S48 S32, S16(32)
#define S52 S48, S4(48)
#define S56 S48, S8(48)
#define S60 S56, S4(56)
#define S64 S48, S16(48)
#define S68 S64, S4(64)
#define S72 S64, S8(64)
#define S76 S72, S4(72)
#define S80 S64, S16(64)

/// d[N / 2] += a · b (d = a · b where `add` is false): 64 rows, N tokens; 16 columns of bf16, 32 of e4m3. In registers, `a` is
/// 4 words: rows g and g + 8, columns 2t and 2t + 1, then the same with 8 columns more; of e4m3 columns 4t to 4t + 3, and 16 more.
template <int N> struct Product;

#define WGMMA(N, FORM, REGISTERS, A, B, P, FLAGS) \
  "{\n.reg .pred p;\nsetp.ne.b32 p, %" #P ", 0;\n" \
  "wgmma.mma_async.sync.aligned.m64n" #N FORM " {" REGISTERS "}, " A ", %" #B ", p, 1, 1" FLAGS ";\n}\n"

// `i` to `o`: numbers of the six operands after the sums.
#define PRODUCT(N, REGISTERS, SUMS, i, j, k, l, m, o) \
  template <> struct Product<N> { \
    static __device__ __forceinline__ void bf16(float* d, u64 a, u64 b, bool add) { \
      asm volatile(WGMMA(N, "k16.f32.bf16.bf16", REGISTERS, "%" #i, j, k, ", 0, 0") : SUMS : "l"(a), "l"(b), "r"((int)add)); \
    } \
    static __device__ __forceinline__ void bf16(float* d, const u32* a, u64 b, bool add) { \
      asm volatile(WGMMA(N, "k16.f32.bf16.bf16", REGISTERS, "{%" #i ", %" #j ", %" #k ", %" #l "}", m, o, ", 0") \
                   : SUMS : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"((int)add)); \
    } \
    static __device__ __forceinline__ void e4m3(float* d, u64 a, u64 b, bool add) { \
      asm volatile(WGMMA(N, "k32.f32.e4m3.e4m3", REGISTERS, "%" #i, j, k, "") : SUMS : "l"(a), "l"(b), "r"((int)add)); \
    } \
    static __device__ __forceinline__ void e4m3(float* d, const u32* a, u64 b, bool add) { \
      asm volatile(WGMMA(N, "k32.f32.e4m3.e4m3", REGISTERS, "{%" #i ", %" #j ", %" #k ", %" #l "}", m, o, "") \
                   : SUMS : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"((int)add)); \
    } \
  };

PRODUCT(16, R1, S8(0), 8, 9, 10, 11, 12, 13)
PRODUCT(32, R2, S16(0), 16, 17, 18, 19, 20, 21)
PRODUCT(64, R4, S32, 32, 33, 34, 35, 36, 37)
PRODUCT(80, R5, S40, 40, 41, 42, 43, 44, 45)
PRODUCT(96, R6, S48, 48, 49, 50, 51, 52, 53)
PRODUCT(104, R6H, S52, 52, 53, 54, 55, 56, 57)
PRODUCT(112, R7, S56, 56, 57, 58, 59, 60, 61)
PRODUCT(120, R7H, S60, 60, 61, 62, 63, 64, 65)
PRODUCT(128, R8, S64, 64, 65, 66, 67, 68, 69)
PRODUCT(136, R8H, S68, 68, 69, 70, 71, 72, 73)
PRODUCT(144, R9, S72, 72, 73, 74, 75, 76, 77)
PRODUCT(152, R9H, S76, 76, 77, 78, 79, 80, 81)
PRODUCT(160, R10, S80, 80, 81, 82, 83, 84, 85)

#undef PRODUCT
#undef WGMMA
#undef R0
#undef R1
#undef R2
#undef R3
#undef R4
#undef R5
#undef R6
#undef R6H
#undef R7
#undef R7H
#undef R8
#undef R8H
#undef R9
#undef R9H
#undef R10
#undef S4
#undef S8
#undef S16
#undef S32
#undef S40
#undef S48
#undef S52
#undef S56
#undef S60
#undef S64
#undef S68
#undef S72
#undef S76
#undef S80

}  // namespace wgmma
