// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import MoE
import Tensors
import Testing

/// What `valueFaults` finds, and what it leaves alone.
@Suite struct QuantizationValueTests {
  private func messages(_ scheme: some QuantizationScheme, _ stored: StoredProjection) throws -> [String] {
    try scheme.decoder(of: stored).valueFaults().map { "\($0)" }
  }

  @Test func scales() throws {
    let scheme = FP8(.channel)
    var stored = RandomProjection.make(scheme)
    stored.tensors[.weight]!.bytes = [UInt8](repeating: 0x38, count: 96 * 128)
    #expect(try messages(scheme, stored) == [])
    var scales = [Float](repeating: 1, count: 96)
    scales[3] = .nan
    scales[5] = -1
    scales[7] = 0
    scales[9] = 0
    stored.tensors[.weight]!.bytes.replaceSubrange(9 * 128..<10 * 128, with: [UInt8](repeating: 0, count: 128))
    stored.tensors[.scale]!.bytes = ElementType.f32.encode(scales)
    let found = try messages(scheme, stored)
    #expect(
      found == [
        "a scale is not finite: expected a finite number, found nan at 3",
        "a scale of weights that are not 0 is not positive: expected a number above 0, "
          + "found -1.0 at [5, 0], and 255 more",
      ])
  }

  @Test func codes() throws {
    let scheme = FP8(.tensor)
    var stored = RandomProjection.make(scheme)
    stored.tensors[.weight]!.bytes = [UInt8](repeating: 0x38, count: 96 * 128)
    stored.tensors[.weight]!.bytes[128 + 2] = 0x7F
    let found = try messages(scheme, stored)
    #expect(found == ["a code is no finite number: expected a finite number, found nan at [1, 2]"])
    var dense = RandomProjection.make(Unquantized(.f32))
    #expect(try messages(Unquantized(.f32), dense) == [])
    dense.tensors[.weight]!.bytes.replaceSubrange(0..<4, with: ElementType.f32.encode([.infinity]))
    #expect(try messages(Unquantized(.f32), dense).first?.contains("inf at [0, 0]") == true)
  }

  /// e8m0 255 is NaN.
  @Test func e8m0() throws {
    var stored = RandomProjection.make(MXFP4())
    #expect(try messages(MXFP4(), stored) == [])
    stored.tensors[.scale]!.bytes[6] = 255
    #expect(try messages(MXFP4(), stored) == ["a scale is not finite: expected a finite number, found nan at 6"])
  }

  /// Version 1 stores one less, so that 15 means 16, or 0 by other decoders.
  @Test func zeroPointOfGPTQ() throws {
    for isVersion2 in [false, true] {
      let scheme = GPTQ(bits: 4, groupSize: 32, isVersion2: isVersion2)
      var stored = RandomProjection.make(scheme)
      let count = stored.tensors[.zeroPoint]!.bytes.count
      stored.tensors[.zeroPoint]!.bytes = [0xF7] + [UInt8](repeating: 0x77, count: count - 1)
      let found = try messages(scheme, stored)
      #expect(
        found == (isVersion2 ? [] : ["a zero point is beyond the codes: expected at most 15.0, found 16.0 at 1"]))
    }
  }

  @Test(arguments: QuantizedCase.folders) func casesAreWhole(folder: String) throws {
    let quantizedCase = try QuantizedCase(folder)
    for stem in quantizedCase.stems(expert: 0).prefix(1) {
      let (scheme, stored) = try quantizedCase.projection(stem)
      #expect(try messages(scheme, stored) == [], "\(stem)")
    }
  }
}
