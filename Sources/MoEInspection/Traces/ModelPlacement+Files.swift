// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

package import Checkpoints
public import MoE
internal import Tensors

extension ModelPlacement {
  /// Reads a placement: this package's JSON, the maps of vLLM and SGLang as JSON or safetensors, or TensorRT-LLM's YAML.
  ///
  /// - Parameters:
  ///   - expertCount: nil for what the file says, or the greatest id in it.
  ///   - ranks: where the file doesn't say.
  /// - Throws: what can't be read, holes, foreign ids, experts that stand nowhere: of all layers.
  public init(opening path: String, expertCount: Int? = nil, ranks: Int? = nil) throws(MoEError) {
    do throws(CheckpointError) {
      if path.hasSuffix(".safetensors") {
        try self.init(map: try Self.tensor(path), expertCount: expertCount, ranks: ranks, file: path)
      } else {
        let bytes = try RandomAccessFile.contents(of: path, limit: 1 << 28)
        let isYAML = path.hasSuffix(".yaml") || path.hasSuffix(".yml")
        let map = isYAML ? try Self.yaml(bytes, path) : try Self.json(bytes, path)
        try self.init(map: map, expertCount: expertCount, ranks: ranks, file: path)
      }
    } catch {
      throw MoEError(error.faults)
    }
  }

  /// What a file says.
  private struct Map {
    var layers: [Int]?
    var slots: [[Int]]
    var expertCount: Int?
    var ranks: Int?
  }

  private init(map: Map, expertCount: Int?, ranks: Int?, file: String) throws(CheckpointError) {
    guard let ranks = map.ranks ?? ranks else {
      throw CheckpointError(
        Fault(
          .configuration, "the placement doesn't say on how many ranks it is", file: file, subject: "ranks",
          remedy: "give --ranks"))
    }
    do throws(MoEError) {
      try self.init(
        physicalToLogical: map.slots, layers: map.layers,
        expertCount: expertCount ?? map.expertCount ?? Self.expertCount(of: map.slots.joined()), ranks: ranks,
        file: file)
    } catch {
      throw CheckpointError(error.faults)
    }
  }

  /// The experts of slots that hold each of them: the greatest id and one more.
  static func expertCount(of slots: some Sequence<Int>) -> Int {
    let greatest = slots.max() ?? 0
    return greatest < .max ? greatest + 1 : greatest
  }

  private static let keys = ["physical_to_logical", "physical_to_logical_map"]

  private static func malformed(_ file: String, found: String? = nil) -> CheckpointError {
    CheckpointError(
      Fault(
        .configuration, "no placement in this file", file: file, subject: keys.joined(separator: " or "),
        expected: "[layers][slots] of expert ids", found: found))
  }

  private static func tensor(_ path: String) throws(CheckpointError) -> Map {
    let catalog = try TensorCatalog(opening: path)
    guard let record = keys.lazy.compactMap({ catalog[$0] }).first else { throw malformed(path) }
    guard record.shape.rank == 2, record.shape[1] > 0 else { throw malformed(path, found: "\(record.shape)") }
    return Map(slots: try catalog.integers(of: record).runs(of: record.shape[1]))
  }

  private static func json(_ bytes: [UInt8], _ file: String) throws(CheckpointError) -> Map {
    let value = try JSONValue(parsing: bytes, file: file)
    guard let rows = keys.lazy.compactMap({ value[$0]?.array }).first else { throw malformed(file) }
    var slots: [[Int]] = []
    for row in rows {
      guard let row = row.array, row.allSatisfy({ $0.integer != nil }) else { throw malformed(file, found: row.kind) }
      slots.append(row.compactMap(\.integer))
    }
    let layers = value["layers"]?.array.map { $0.compactMap(\.integer) }
    return Map(
      layers: layers, slots: slots, expertCount: value["experts"]?.integer, ranks: value["ranks"]?.integer)
  }

  /// The lines of a TensorRT-LLM configuration below `initial_global_assignments`: `LAYER: [ids]`, on one line each.
  private static func yaml(_ bytes: [UInt8], _ file: String) throws(CheckpointError) -> Map {
    var map = Map(layers: [], slots: [])
    var isInside = false
    for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
      let parts = line.split(separator: ":", maxSplits: 1)
      guard line.first == " ", isInside else {
        isInside = parts.first == "initial_global_assignments"
        continue
      }
      let key = parts[0].filter { $0 != " " }
      let list = parts.count == 2 ? parts[1].filter { $0 != " " && $0 != "\r" } : ""
      let ids = list.dropFirst().dropLast().split(separator: ",", omittingEmptySubsequences: false).map { Int($0) }
      guard let layer = Int(key), list.first == "[", list.last == "]", ids.allSatisfy({ $0 != nil }) else {
        throw CheckpointError(
          Fault(
            .configuration, "a line of the placement can't be read", file: file, subject: "initial_global_assignments",
            expected: "LAYER: [id, id, …]", found: String(line.prefix(60))))
      }
      map.layers!.append(layer)
      map.slots.append(ids.compactMap(\.self))
    }
    guard !map.slots.isEmpty else { throw malformed(file) }
    return map
  }
}

extension ModelPlacement {
  /// The placement as the text of a file.
  ///
  /// - Parameter more: further members, of this package's JSON.
  package func text(as format: TraceFormat, more: [String: JSONValue] = [:]) -> String {
    switch format {
    case .moe: JSONValue.object(members.merging(more) { _, other in other }).serialized() + "\n"
    case .vllm, .sglang:
      JSONValue.object(["physical_to_logical_map": JSONValue(physicalToLogical)]).serialized() + "\n"
    case .trtllm:
      (["initial_global_assignments:"]
        + zip(layers, physicalToLogical).map { layer, slots in
          "  \(layer): [\(slots.map(String.init).joined(separator: ", "))]"
        } + ["layer_updates_per_iter: 0", "num_slots: \(slotCount)", ""]).joined(separator: "\n")
    }
  }

  /// What this package's JSON says.
  package var members: [String: JSONValue] {
    [
      "schema": 1, "ranks": .integer(rankCount), "experts": .integer(expertCount),
      "layers": .array(layers.map { .integer($0) }), "physical_to_logical": JSONValue(physicalToLogical),
      "logical_to_physical": .array(placements.map { JSONValue($0.replicas.map { $0.map(\.rawValue) }) }),
      "replica_counts": JSONValue(placements.map(\.replicaCounts)),
    ]
  }
}

extension JSONValue {
  package init(_ rows: [[Int]]) { self = .array(rows.map { .array($0.map { .integer($0) }) }) }
}
