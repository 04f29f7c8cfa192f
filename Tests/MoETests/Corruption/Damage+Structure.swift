// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import Foundation
import MoE
import Tensors

extension Damage {
  /// Tensors and files.
  static let structure: [Damage] = [
    Damage("weight dropped", .headers, gguf: true) { specimen in
      specimen.drop(specimen.piece(.weight)!.tensor)
      return true
    },
    Damage("scale dropped", .headers) { dropped(.scale, of: &$0) },
    Damage("zero points dropped", .headers) { dropped(.zeroPoint, of: &$0) },
    Damage("input scale dropped", .headers) { dropped(.inputScale, of: &$0) || dropped(.inputGlobalScale, of: &$0) },
    Damage("input scales of a static scheme dropped", .headers) { specimen in
      guard specimen.matrix(1, .up).scheme.parameters.activations.isStatic else { return false }
      for piece in specimen.experts.experts.joined().compactMap({ $0[.inputScale] ?? $0[.inputGlobalScale] }) {
        specimen.drop(piece.tensor)
      }
      return true
    },
    Damage("group index dropped", .headers) { dropped(.groupIndex, of: &$0) },
    Damage("bias dropped", .headers, gguf: true) { dropped(.bias, of: &$0) },
    Damage("gate dropped", .headers, gguf: true) { specimen in
      specimen.drop(specimen.layer.gate.weight)
      return true
    },
    Damage("correction bias dropped", .headers, gguf: true) { specimen in
      guard let tensor = specimen.layer.gate.correctionBias else { return false }
      specimen.drop(tensor)
      return true
    },
    Damage("shared expert's down dropped", .headers, gguf: true) { specimen in
      guard let shared = specimen.layer.shared?.experts.experts[0].last else { return false }
      specimen.drop(shared[.weight]!.tensor)
      return true
    },
    Damage("whole expert dropped", .headers) { specimen in
      let matrices = specimen.experts.experts[1]
      for piece in matrices.flatMap(\.pieces) {
        if specimen.isPerExpert { specimen.drop(piece.tensor) } else { cut(piece.tensor, axis: 0, of: &specimen) }
      }
      return true
    },
    Damage("expert too many", .headers) { specimen in
      guard specimen.isPerExpert else { return false }
      let count = specimen.experts.specification.expertCount
      for piece in specimen.experts.experts[1].flatMap(\.pieces) {
        let name = piece.tensor.name.replacing("experts.1.", with: "experts.\(count).")
        specimen.fixture.tensors[name] = specimen.fixture.tensors[piece.tensor.name]
      }
      return true
    },
    Damage("stored fused and per expert", .headers) { specimen in
      let size = specimen.experts.specification
      let root = root(specimen)
      if specimen.isPerExpert {
        specimen.fixture.add(
          root + "gate_up_proj", [size.expertCount, 2 * size.intermediateSize, size.hiddenSize])
        specimen.fixture.add(root + "down_proj", [size.expertCount, size.hiddenSize, size.intermediateSize])
      } else {
        for expert in 0..<size.expertCount {
          for name in ["gate_proj", "up_proj"] {
            specimen.fixture.add(root + "\(expert).\(name).weight", [size.intermediateSize, size.hiddenSize])
          }
          specimen.fixture.add(root + "\(expert).down_proj.weight", [size.hiddenSize, size.intermediateSize])
        }
      }
      return true
    },
    Damage("tensor that nothing uses", .headers) { specimen in
      specimen.fixture.add(root(specimen) + "1.lora_A.weight", [4, 4])
      return true
    },
    Damage("weight transposed, with its shape", .headers) { specimen in
      let tensor = specimen.piece(.weight)!.tensor
      let shape = tensor.shape.dimensions
      guard shape.count == 2, shape[0] != shape[1] else { return false }
      specimen.fixture.tensors[tensor.name]!.shape = Shape(shape.reversed())
      return true
    },
    Damage("weight of another type", .headers) { specimen in
      let tensor = specimen.piece(.weight)!.tensor
      let types: [Int: ElementType] = [8: .bool, 16: .i16, 32: .u32]
      specimen.fixture.tensors[tensor.name]!.elementType = types[tensor.elementType.bitWidth]!
      return true
    },
    Damage("scale of another type", .headers) { specimen in
      guard let tensor = specimen.piece(.scale)?.tensor else { return false }
      let types: [Int: ElementType] = [8: .bool, 16: .i16, 32: .u32]
      specimen.fixture.tensors[tensor.name]!.elementType = types[tensor.elementType.bitWidth]!
      return true
    },
    Damage("weight shorter by one, first axis", .headers) { specimen in
      cut(specimen.piece(.weight)!.tensor, axis: 0, of: &specimen)
      return true
    },
    Damage("weight shorter by one, last axis", .headers) { specimen in
      let tensor = specimen.piece(.weight)!.tensor
      cut(tensor, axis: tensor.shape.rank - 1, of: &specimen)
      return true
    },
    Damage("scale shorter by one", .headers) { specimen in
      guard let tensor = specimen.piece(.scale)?.tensor, tensor.shape.rank > 0 else { return false }
      cut(tensor, axis: 0, of: &specimen)
      return true
    },
    Damage("file truncated", .headers, gguf: true) { specimen in
      let name = specimen.isGGUF ? Specimen.ggufName : "model.safetensors"
      specimen.finish = { folder in
        let size = try RandomAccessFile(opening: folder + "/" + name).size
        guard truncateFile(folder + "/" + name, to: size - 33) == 0 else { throw CocoaError(.fileWriteUnknown) }
      }
      return true
    },
    Damage("Git LFS pointer in place of the file", .headers, gguf: true) { specimen in
      let name = specimen.isGGUF ? Specimen.ggufName : "model.safetensors"
      specimen.finish = { folder in
        let text = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"
        try Data(text.utf8).write(to: URL(filePath: folder + "/" + name))
      }
      return true
    },
    Damage("index names the wrong shard", .headers) { specimen in
      specimen.finish = { try shard($0) { map, names in map[map.keys.min()!] = .string(names[1]) } }
      return true
    },
    Damage("index lists an absent tensor", .headers) { specimen in
      specimen.finish = { try shard($0) { map, names in map["model.absent.weight"] = .string(names[0]) } }
      return true
    },
    Damage("shard missing", .headers) { specimen in
      specimen.finish = { folder in
        try shard(folder) { _, _ in }
        try FileManager.default.removeItem(atPath: folder + "/model-00002-of-00002.safetensors")
      }
      return true
    },
  ]

  /// What the names of experts begin with.
  private static func root(_ specimen: Specimen) -> String {
    let name = specimen.piece(.weight)!.tensor.name
    return String(name[..<name.firstRange(of: "experts.")!.upperBound])
  }

  private static func dropped(_ role: TensorRole, of specimen: inout Specimen) -> Bool {
    guard let piece = specimen.piece(role) else { return false }
    specimen.drop(piece.tensor)
    return true
  }

  private static func cut(_ tensor: TensorRecord, axis: Int, of specimen: inout Specimen) {
    var shape = tensor.shape.dimensions
    guard !shape.isEmpty else { return specimen.drop(tensor) }
    shape[axis] -= 1
    specimen.fixture.reshape(tensor.name, nil, Shape(shape))
  }

  /// Makes two files with an index of one.
  private static func shard(
    _ folder: String, _ change: (inout [String: JSONValue], [String]) -> Void
  ) throws {
    let catalog = try TensorCatalog(opening: folder + "/model.safetensors")
    let names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    let middle = catalog.records.count / 2
    var map: [String: JSONValue] = [:]
    for (name, records) in zip(names, [catalog.records[..<middle], catalog.records[middle...]]) {
      try SafetensorsFile.write(
        tensors: records.map {
          (TensorDeclaration($0.name, $0.elementType, $0.shape), bytes: try catalog.bytes(of: $0))
        }, to: folder + "/" + name)
      for record in records { map[record.name] = .string(name) }
    }
    change(&map, names)
    try FileManager.default.removeItem(atPath: folder + "/model.safetensors")
    try AtomicFile.write(
      JSONValue.object(["weight_map": .object(map)]).serialized(), to: folder + "/model.safetensors.index.json")
  }
}
