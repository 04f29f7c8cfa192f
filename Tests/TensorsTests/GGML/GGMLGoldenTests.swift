// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import MoE
import Tensors
import Testing

// The bytes come from a seeded generator, so that only a digest of the floats has to be kept. This is the script that
// made the table (`pip install gguf==0.19.0`):
//
// ```python
// import gguf, numpy as np
// def random_bytes(seed, count):  # SplitMix64, little-endian
//     state = np.uint64(seed) + np.uint64(0x9E3779B97F4A7C15) * np.arange(1, (count + 7) // 8 + 1, dtype=np.uint64)
//     z = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
//     z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
//     return (z ^ (z >> np.uint64(31))).view(np.uint8)[:count].copy()
// def digest(words):  # FNV-1a over 32-bit words
//     h = 0xCBF29CE484222325
//     for w in words.tolist(): h = (h ^ w) * 0x100000001B3 & (1 << 64) - 1
//     return h
// for t in gguf.GGMLQuantizationType:
//     elements, size = gguf.GGML_QUANT_SIZES[t]
//     data = random_bytes(t.value, 65536 // elements * size)
//     try: values = gguf.quants.dequantize(data, t).astype(np.float32).reshape(-1)
//     except NotImplementedError: continue
//     bits = values.view(np.uint32).copy()
//     bits[np.isnan(values)] = 0x7FC00000
//     print(t.name, elements, size, hex(digest(bits)), np.isnan(values).sum(), [hex(b) for b in bits[[1, 4097, 65535]]])
// ```

/// 65,536 elements of random bytes per type, against gguf-py 0.19.0 (numpy 2): every field of a block, every point of a
/// codebook and every kind of scale (0, subnormal, infinite, NaN) occurs.
@Suite struct GGMLGoldenTests {
  typealias Row = (GGMLType, Int, Int, UInt64, Int, [UInt32])

  struct Golden: Sendable, CustomTestStringConvertible {
    let type: GGMLType
    let elements: Int
    let bytes: Int
    let digest: UInt64
    let nanCount: Int
    /// The bits of elements 1, 4097 and 65535.
    let samples: [UInt32]

    var testDescription: String { type.name }

    init(_ row: Row) { (type, elements, bytes, digest, nanCount, samples) = row }
  }

  static let table: [Row] = [
    (.f32, 1, 4, 0x07DA_8F9B_345D_273E, 262, [0xE220_A839, 0x7F26_FA62, 0xC6C3_4E58]),
    (.f16, 1, 2, 0xAEF5_B6A5_2CE2_8325, 2069, [0xB920_4000, 0xBACB_2000, 0x42C7_4000]),
    (.q4_0, 32, 18, 0x0A2B_808D_66E2_0B25, 2176, [0x43D9_C000, 0xBE32_5000, 0xBE7C_8000]),
    (.q4_1, 32, 20, 0x3C0E_E7B9_21BD_8432, 4160, [0xC360_207F, 0xC606_6E00, 0xC714_A198]),
    (.q5_0, 32, 22, 0xDFB2_1813_DF0F_9B25, 2016, [0xC5D0_0000, 0x4420_C600, 0x3A9E_5800]),
    (.q5_1, 32, 24, 0x78CB_0312_65CA_2A97, 4128, [0x4326_408C, 0x42CD_1F3C, 0xBA98_1C00]),
    (.q8_0, 32, 34, 0xE9F9_FB99_15FD_14A5, 1824, [0xC0D3_2C00, 0x3B63_D000, 0x41D8_5BC0]),
    (.q2_K, 256, 84, 0x4C07_46F3_27B1_EE90, 3584, [0xC7B4_0003, 0x4468_F7B0, 0xC7A4_A000]),
    (.q3_K, 256, 110, 0xB252_49A2_A3F9_DEA5, 1024, [0x442B_7E00, 0x0000_0000, 0xC83C_B800]),
    (.q4_K, 256, 144, 0xDF78_6224_11F3_A785, 5632, [0xBDB4_9500, 0x413A_9000, 0x4230_0C78]),
    (.q5_K, 256, 176, 0x3294_8E0A_6BC3_0DA3, 4352, [0x49E5_1D00, 0xC875_89F8, 0x418D_2710]),
    (.q6_K, 256, 210, 0xBD25_FDD6_89D4_DCC1, 3072, [0xC389_6520, 0xC921_9000, 0x4790_BD00]),
    (.iq2_XXS, 256, 66, 0x6666_1CEE_B808_79B5, 2304, [0xBC1C_B600, 0x3D3A_3B00, 0x429B_4600]),
    (.iq2_XS, 256, 74, 0xC7A1_4C49_AF87_E9BD, 2560, [0xC9BC_9798, 0xC88D_A000, 0xC497_9000]),
    (.iq3_XXS, 256, 98, 0x68C2_774A_27BA_F1F5, 2048, [0xC929_E900, 0xC0AB_6780, 0xC173_9000]),
    (.iq1_S, 256, 50, 0xC6B5_0423_3CFD_7EE5, 768, [0x3CFD_C200, 0xBF3F_5800, 0x42BA_7800]),
    (.iq4_NL, 32, 18, 0x737F_EB2C_BD6C_FE65, 2112, [0xB7C6_0000, 0x3FF1_B800, 0xC0A5_9240]),
    (.iq3_S, 256, 110, 0x79FB_F829_5477_FE15, 2560, [0x3F4A_3500, 0x3DDE_5880, 0xBB6C_E800]),
    (.iq2_S, 256, 82, 0x586E_D40E_6CF1_E325, 2048, [0xBA96_FA00, 0x46BC_A660, 0xC982_8E00]),
    (.iq4_XS, 256, 136, 0xC18F_3E66_F240_E06F, 2048, [0xBC80_8400, 0xC792_CB90, 0x3F53_4000]),
    (.iq1_M, 256, 56, 0xB9D3_90F2_EA39_0065, 2304, [0xC22B_5600, 0x3C9C_6000, 0xBE1C_3400]),
    (.bf16, 1, 2, 0x740B_7D74_DDD9_2325, 245, [0xF272_0000, 0x919F_0000, 0x8509_0000]),
    (.tq1_0, 256, 54, 0xF742_6A32_1387_C325, 1536, [0x8000_0000, 0x38EB_E000, 0x3F76_4000]),
    (.tq2_0, 256, 66, 0x69A6_4CE5_D010_E325, 2048, [0xC207_4000, 0x8000_0000, 0x8000_0000]),
    (.mxfp4, 32, 17, 0xA44E_9484_93B6_2325, 0, [0xF680_0000, 0xA080_0000, 0x36C0_0000]),
    (.nvfp4, 64, 36, 0x755B_2A9B_7EFA_2325, 0, [0xBE20_0000, 0xC2B4_0000, 0xBDC0_0000]),
  ]

  @Test(arguments: table.map(Golden.init))
  func decodesAsTheReference(golden: Golden) {
    let type = golden.type
    #expect(type.blockElements == golden.elements)
    #expect(type.blockBytes == golden.bytes)
    let values = type.decode(randomBytes(seed: UInt64(type.rawValue), count: 65536 / golden.elements * golden.bytes))
    #expect(values.count == 65536)
    let bits = values.map { $0.isNaN ? 0x7FC0_0000 : $0.bitPattern }
    #expect([1, 4097, 65535].map { bits[$0] } == golden.samples)
    #expect(values.count { $0.isNaN } == golden.nanCount)
    let digest = bits.reduce(0xCBF2_9CE4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
    #expect(digest == golden.digest)
  }

  /// Only the integers and F64 are not in the table: the reference does not decode them.
  @Test func everyTypeIsCovered() {
    let types = Set(Self.table.map(\.0))
    #expect(GGMLType.allCases.filter { !types.contains($0) } == [.i8, .i16, .i32, .i64, .f64])
  }
}

/// The same bytes as the script's.
func randomBytes(seed: UInt64, count: Int) -> [UInt8] {
  var generator = SplitMix64(seed: seed)
  var bytes: [UInt8] = []
  while bytes.count < count {
    let word = generator.next()
    for shift in 0..<8 { bytes.append(UInt8(truncatingIfNeeded: word >> UInt64(8 * shift))) }
  }
  return Array(bytes.prefix(count))
}
