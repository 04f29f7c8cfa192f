// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Checkpoints
public import MoE
internal import Tensors

/// The formats that loads and placements are written in.
public enum TraceFormat: String, Sendable, CaseIterable {
  /// This package's.
  case moe
  case vllm
  case sglang
  case trtllm
}

extension LoadTrace {
  /// Writes the trace; a file, or a folder for TensorRT-LLM, which must exist and be empty.
  ///
  /// - Throws: what can't be written; nothing is left then.
  public func write(to path: String, as format: TraceFormat = .moe) throws(MoEError) {
    do throws(CheckpointError) {
      try checkValues(for: format, path)
      switch format {
      case .moe: try SafetensorsFile.write(tensors: [tensor("loads", steps)], to: path, metadata: metadata)
      case .vllm: try writeLoadWindow(to: path)
      case .sglang: try AtomicFile.write(JSONValue.object(["logical_count": json]).serialized() + "\n", to: path)
      case .trtllm: try writeExpertStatistic(to: path)
      }
    } catch {
      throw MoEError(error.faults)
    }
  }

  /// Other engines count tokens in 32 bits.
  private func checkValues(for format: TraceFormat, _ path: String) throws(CheckpointError) {
    guard format != .moe, let bad = steps.joined().first(where: { Int32(exactly: $0) == nil }) else { return }
    throw CheckpointError(
      Fault(
        .invalidValue, "loads that are no counts of tokens can't be written as another engine's", file: path,
        expected: "whole numbers below 2³¹", found: "\(bad)"))
  }

  private var metadata: [String: String] {
    var metadata = ["format": "moe-trace", "version": "1", "layers": layers.map(String.init).joined(separator: ",")]
    if let topK { metadata["top_k"] = "\(topK)" }
    return metadata
  }

  private var json: JSONValue {
    .array(steps.map { step in .array(rows(step).map { row in .array(row.map(JSONValue.init(number:))) }) })
  }

  /// `[steps, layers, experts]` in the narrowest type that holds all values.
  private func tensor(_ name: String, _ steps: [[Double]]) -> (TensorDeclaration, bytes: [UInt8]) {
    let values = Array(steps.joined())
    let type = ElementType.narrowest(for: values)
    return (TensorDeclaration(name, type, [steps.count, layers.count, expertCount]), type.encodeCounts(values))
  }

  /// One slot for each expert.
  private func writeLoadWindow(to path: String) throws(CheckpointError) {
    let map = layers.flatMap { _ in (0..<expertCount).map(Double.init) }
    try SafetensorsFile.write(
      tensors: [
        tensor("expert_load_window", steps),
        (
          TensorDeclaration("physical_to_logical_map", .i64, [layers.count, expertCount]),
          ElementType.i64.encodeCounts(map)
        ),
      ], to: path)
  }

  private func writeExpertStatistic(to folder: String) throws(CheckpointError) {
    var tensors: [(TensorDeclaration, bytes: [UInt8])] = []
    for (step, loads) in steps.enumerated() {
      for (layer, row) in zip(layers, rows(loads)) {
        tensors.append(
          (TensorDeclaration("\(step)_\(layer)", .i32, [expertCount]), ElementType.i32.encodeCounts(row)))
      }
    }
    var information: [String: JSONValue] = ["num_experts": .integer(expertCount)]
    if let topK { information["num_experts_per_token"] = .integer(topK) }
    try SafetensorsFile.write(tensors: tensors, to: folder + "/rank0.safetensors")
    try AtomicFile.write(JSONValue.object(information).serialized(pretty: true) + "\n", to: folder + "/meta_info.json")
  }
}

extension JSONValue {
  /// A whole number as one.
  init(number value: Double) { self = Int(exactly: value).map { .integer($0) } ?? .number(value) }
}

extension ElementType {
  /// The least type that holds loads as they are.
  fileprivate static func narrowest(for values: [Double]) -> Self {
    let isWhole = values.allSatisfy { $0.rounded() == $0 }
    let greatest = values.max() ?? 0
    if isWhole {
      for (type, limit) in [(Self.u8, 255.0), (.u16, 65_535), (.u32, 4_294_967_295)] where greatest <= limit {
        return type
      }
    }
    return values.allSatisfy { Double(Float($0)) == $0 } ? .f32 : .f64
  }

  /// Little-endian bytes of loads; whole numbers in a type of them.
  fileprivate func encodeCounts(_ values: [Double]) -> [UInt8] {
    switch self {
    case .f32: encode(values.map(Float.init))
    case .f64: values.flatMap { bytes($0.bitPattern) }
    default: values.flatMap { bytes(UInt64($0)) }
    }
  }

  private func bytes(_ value: UInt64) -> [UInt8] {
    (0..<bitWidth / 8).map { UInt8(truncatingIfNeeded: value >> UInt64($0 * 8)) }
  }
}
