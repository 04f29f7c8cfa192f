// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import MoE
import Tensors
import Testing

/// Wrong tensors and settings are refused with what was expected and found.
@Suite struct QuantizationBadInputTests {
  // MARK: - Tensors

  @Test(arguments: RandomProjection.schemes.indices) func everyTensorMatters(index: Int) {
    let scheme = RandomProjection.schemes[index]
    let good = RandomProjection.make(scheme)
    for tensor in scheme.tensors {
      var stored = good
      stored.tensors[tensor.role] = nil
      if tensor.isRequired {
        expectFaults([.missingTensor], ["needs the \(tensor.role)"]) { _ = try scheme.decoder(of: stored) }
      } else {
        #expect(throws: Never.self) { _ = try scheme.decoder(of: stored) }
      }
      stored.tensors[tensor.role] = good.tensors[tensor.role]
      stored.tensors[tensor.role]!.elementType = .c64
      expectFault(.typeMismatch, "found C64") { _ = try scheme.decoder(of: stored) }
      if tensor.role != .state {
        for axis in good.tensors[tensor.role]!.shape.dimensions.indices {
          for difference in [-1, 1] {
            var shape = good.tensors[tensor.role]!.shape
            shape.dimensions[axis] += difference
            // Of one number, a shape such as [0] is wrong, too.
            stored.tensors[tensor.role] = good.tensors[tensor.role]
            stored.tensors[tensor.role]!.shape = shape
            expectFault(.shapeMismatch, "found \(shape)") { _ = try scheme.decoder(of: stored) }
          }
        }
      }
      stored.tensors[tensor.role] = good.tensors[tensor.role]
      stored.tensors[tensor.role]!.bytes.removeLast()
      expectFault(.sizeMismatch) { _ = try scheme.decoder(of: stored) }
    }
  }

  @Test(arguments: RandomProjection.schemes.indices) func otherSizes(index: Int) {
    let scheme = RandomProjection.schemes[index]
    for (rows, columns) in [(95, 128), (96, 127), (97, 128), (96, 129), (-1, 128), (96, Int.max), (1 << 40, 1 << 40)] {
      var stored = RandomProjection.make(scheme)
      (stored.rows, stored.columns) = (rows, columns)
      #expect(throws: MoEError.self, "\(scheme.name) \(rows) \(columns)") { _ = try scheme.decoder(of: stored) }
    }
  }

  @Test func parametersWithoutMeaning() {
    let packed = RandomProjection.make(PackedIntegers(bits: 4, .group(32)))
    for bits in [-1, 0, 9, 32, 1 << 40] {
      expectFaults([.invalidArgument]) { _ = try PackedIntegers(bits: bits, .group(32)).decoder(of: packed) }
    }
    for size in [0, -1, Int.min, Int.max, 33] {
      expectFault(.shapeMismatch) { _ = try PackedIntegers(bits: 4, .group(size)).decoder(of: packed) }
    }
    let fp8 = RandomProjection.make(FP8(.tensor))
    expectFault(.shapeMismatch) { _ = try FP8(.block(rows: 0, columns: 128)).decoder(of: fp8) }
    expectFault(.shapeMismatch, "a matrix that divides into") {
      _ = try FP8(.group(33)).decoder(of: RandomProjection.make(FP8(.group(32))))
    }
  }

  @Test(arguments: [4, -1, Int(Int32.max)]) func groupIndexOutOfRange(group: Int) {
    for scheme in [PackedIntegers(bits: 4, .group(32)), GPTQ(bits: 4, groupSize: 32)] as [any QuantizationScheme] {
      var stored = RandomProjection.make(scheme)
      stored.tensors[.groupIndex]!.bytes.replaceSubrange(20..<24, with: RandomProjection.int32([group]))
      expectFaults([.invalidValue], ["expected 0..<4", "\(group) for column 5"]) {
        _ = try scheme.decoder(of: stored)
      }
    }
  }

  @Test func valuesThatContradict() {
    var packed = RandomProjection.make(PackedIntegers(bits: 4, .channel))
    packed.tensors[.logicalShape]!.bytes[0] += 1
    expectFaults([.invalidValue], ["expected [96, 128], found [97, 128]"]) {
      _ = try PackedIntegers(bits: 4, .channel).decoder(of: packed)
    }
    var bytes = RandomProjection.make(BitsAndBytes8())
    bytes.tensors[.arrangement]!.bytes = [1]
    expectFaults([.invalidValue], ["found 1"]) { _ = try BitsAndBytes8().decoder(of: bytes) }
  }

  static let stateExamples: [(String, Fault.Code, String)] = [
    (#"{"quant_type": "fp4", "blocksize": 64, "shape": [96, 128]}"#, .invalidValue, "quant_type"),
    (#"{"quant_type": "nf4", "blocksize": 128, "shape": [96, 128]}"#, .invalidValue, "blocksize"),
    (#"{"quant_type": "nf4", "blocksize": 64, "shape": [128, 96]}"#, .invalidValue, "found [128,96]"),
    (#"{"quant_type": "nf4", "blocksize": 64}"#, .invalidValue, "found nothing"),
    (#"{"quant_type": "nf4""#, .malformedJSON, "expected"), ("[]", .invalidValue, "quant_type"),
  ]

  @Test(arguments: stateExamples)
  func state(_ text: String, _ code: Fault.Code, _ fragment: String) {
    var stored = RandomProjection.make(BitsAndBytes4())
    stored.tensors[.state] = StoredTensor(.u8, [text.utf8.count], Array(text.utf8))
    expectFaults([code], [fragment]) { _ = try BitsAndBytes4().decoder(of: stored) }
  }

  // MARK: - Settings

  private func scheme(_ quantization: JSONValue, _ tensors: [String: ProjectionTensors.Header]) throws
    -> any QuantizationScheme
  {
    let settings = try QuantizationSettings(["quantization_config": quantization], file: "config.json")
    return try QuantizationRegistry.standard.scheme(of: ProjectionTensors("m.experts.0.up_proj", tensors), settings)
  }

  static let integerExamples: [(JSONValue, String)] = [
    (["quant_method": "gptq", "bits": 5, "group_size": 128], "found 5"),
    (["quant_method": "gptq", "bits": "4", "group_size": 128], "a whole number"),
    (["quant_method": "gptq", "group_size": 128], "2, 3, 4 or 8"),
    (["quant_method": "gptq", "bits": 4, "group_size": 0], "group_size"),
    (["quant_method": "gptq", "bits": 4, "group_size": -2], "a number above 0, or -1"),
    (["quant_method": "gptq", "bits": 4, "group_size": 128, "checkpoint_format": "marlin"], "gptq or gptq_v2"),
    (["quant_method": "gptq", "bits": 4, "group_size": 128, "is_marlin_format": true], "is_marlin_format"),
    (["quant_method": "awq", "bits": 8, "group_size": 128], "expected 4"),
    (["quant_method": "awq", "bits": 4, "group_size": 128, "version": "gemv"], "found \"gemv\""),
  ]

  @Test(arguments: integerExamples)
  func integerSettings(_ settings: JSONValue, _ fragment: String) {
    expectFaults([.configuration], [fragment]) {
      _ = try scheme(settings, [".qweight": .init(.i32, [16, 128])])
    }
  }

  static let compressedTensorsExamples: [(JSONValue, String)] = [
    (["num_bits": 9, "strategy": "group", "group_size": 128], "1 to 8"),
    (["num_bits": 0, "strategy": "group", "group_size": 128], "1 to 8"),
    (["strategy": "group", "group_size": 128], "num_bits is not given"),
    (["num_bits": 4, "strategy": "group", "group_size": 0], "group_size"),
    (["num_bits": 4, "strategy": "rows"], "strategy"),
    (["num_bits": 4, "strategy": "tensor"], "channel or group"),
    (["num_bits": 4, "strategy": "block", "block_structure": [0, 128]], "two whole numbers above 0"),
    (["num_bits": 4, "strategy": "block"], "block_structure is not given"),
  ]

  @Test(arguments: compressedTensorsExamples)
  func compressedTensors(_ weights: JSONValue, _ fragment: String) {
    expectFaults([.configuration], [fragment]) {
      _ = try scheme(
        [
          "quant_method": "compressed-tensors",
          "config_groups": ["group_0": ["targets": ["Linear"], "weights": weights]],
        ], [".weight_packed": .init(.i32, [128, 16])])
    }
  }

  @Test func methodsNobodyKnows() {
    let tensors: [String: ProjectionTensors.Header] = [
      ".weight": .init(.f8e4m3, [128, 128]), ".weight_scale": .init(.f32, []),
    ]
    expectFaults([.unsupported], ["unknown method", "found fp9", "bitsandbytes"]) {
      _ = try scheme(["quant_method": "fp9"], tensors)
    }
    expectFaults([.unsupported], ["no known format has these tensors", ".weight_codes"]) {
      _ = try scheme(["quant_method": "fp8"], [".weight_codes": .init(.u8, [3])])
    }
    expectFaults([.unsupported], ["ModelOpt's IQ2_XXS", "external kernel"]) {
      _ = try scheme(["quant_method": "modelopt", "quant_algo": "IQ2_XXS"], [".weight": .init(.u8, [128, 4, 66])])
    }
    expectFaults([.configuration], ["size of the blocks is not given"]) {
      _ = try scheme(
        ["quant_method": "fp8"],
        [".weight": .init(.f8e4m3, [256, 256]), ".weight_scale_inv": .init(.f32, [2, 2])])
    }
    expectFaults([.configuration], ["weight_block_size", "two whole numbers above 0"]) {
      _ = try scheme(["quant_method": "fp8", "weight_block_size": [128, 0]], tensors)
    }
    expectFaults([.configuration], ["expected 16", "found 32"]) {
      _ = try scheme(
        ["quant_method": "modelopt", "quant_algo": "NVFP4", "group_size": 32],
        [".weight": .init(.u8, [128, 64]), ".weight_scale_2": .init(.f32, [])])
    }
    expectFaults([.configuration], ["not a regular expression"]) {
      _ = try scheme(["quant_method": "fp8", "ignore": ["re:("]], tensors)
    }
    expectFaults([.configuration], ["expected an object"]) { _ = try scheme([1], tensors) }
  }

  @Test func headersOfACheckpoint() {
    let found = ProjectionTensors(
      "e",
      [
        ".weight": .init(.f8e4m3, [128, 256]), ".weight_scale_inv": .init(.f32, [1, 2]),
        ".weight_scale": .init(.f32, [1, 1]), ".weight_zero": .init(.u8, [1]),
      ])
    var scheme = FP8(.block(rows: 128, columns: 128))
    scheme.activations = .tensor(.fp8, isStatic: true)
    let faults = scheme.faults(in: found, rows: 128, columns: 256)
    #expect(
      faults.map(\.code.rawValue).sorted() == ["duplicateParameter", "missingTensor", "unexpectedTensor"], "\(faults)")
  }
}
