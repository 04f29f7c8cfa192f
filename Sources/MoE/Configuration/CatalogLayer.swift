// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Checkpoints

/// The tensors of one layer of a checkpoint, by their names below the layer.
struct CatalogLayer {
  let index: Int
  /// What the names begin with, for example `model.layers.3.`
  let prefix: String
  private(set) var tensors: [String: TensorRecord] = [:]
  /// Whether a LoRA wrapper's `base_layer.` was left out of any name.
  private(set) var isWrapped = false
  /// Tensors that have the name of another one but for `base_layer.`
  private(set) var doubles: [TensorRecord] = []

  subscript(name: String) -> TensorRecord? { tensors[name] }

  /// The layers of a catalog, by the stack they belong to (`model.layers.`), without draft (MTP) stacks.
  static func stacks(of catalog: TensorCatalog) -> [String: [Int: CatalogLayer]] {
    var stacks: [String: [Int: CatalogLayer]] = [:]
    for tensor in catalog.records {
      guard let place = place(of: tensor.name), !place.stack.split(separator: ".").contains("mtp") else { continue }
      stacks[place.stack, default: [:]][
        place.layer, default: CatalogLayer(index: place.layer, prefix: "\(place.stack)\(place.layer).")
      ].insert(tensor, place.rest)
    }
    return stacks
  }

  private mutating func insert(_ tensor: TensorRecord, _ name: String) {
    var name = name
    if let wrapper = name.place(of: "base_layer.") {
      name.removeSubrange(wrapper)
      isWrapped = true
    }
    if tensors.updateValue(tensor, forKey: name) != nil { doubles.append(tensor) }
  }

  /// The tensors of a stem below the layer.
  func projectionTensors(_ stem: String, isStacked: Bool) -> ProjectionTensors {
    var headers: [String: ProjectionTensors.Header] = [:]
    for (name, tensor) in tensors where name.hasPrefix(stem) {
      let ending = String(name.dropFirst(stem.count))
      guard ending.isEmpty || ending.hasPrefix(".") || ending.hasPrefix("_") else { continue }
      headers[ending] = ProjectionTensors.Header(tensor.elementType, tensor.shape, ggmlType: tensor.ggmlType)
    }
    return ProjectionTensors(prefix + stem, headers, isStacked: isStacked)
  }

  /// Splits `model.layers.3.mlp.gate.weight` into `model.layers.`, 3 and `mlp.gate.weight`.
  private static func place(of name: String) -> (stack: String, layer: Int, rest: String)? {
    let bytes = name.utf8
    for marker: StaticString in ["layers.", "blocks.", "blk."] {
      guard let range = name.place(of: marker),
        range.lowerBound == name.startIndex || bytes[bytes.index(before: range.lowerBound)] == UInt8(ascii: "."),
        let dot = bytes[range.upperBound...].firstIndex(of: UInt8(ascii: ".")),
        let layer = Int(name[range.upperBound..<dot]), layer >= 0, String(layer) == name[range.upperBound..<dot]
      else { continue }
      return (String(name[..<range.upperBound]), layer, String(name[bytes.index(after: dot)...]))
    }
    return nil
  }

  /// A name with every number between dots replaced by `{n}`.
  static func pattern(of name: String) -> String {
    name.split(separator: ".", omittingEmptySubsequences: false).map { Int($0) == nil ? $0 : "{n}" }
      .joined(separator: ".")
  }

  /// The names with every number between dots replaced by `{e}`: a short list, however many experts there are.
  func patterns() -> Set<String> {
    var patterns: Set<[UInt8]> = []
    var pattern: [UInt8] = []
    for var name in tensors.keys {
      pattern.removeAll(keepingCapacity: true)
      name.withUTF8 { name in
        var start = 0
        while start <= name.count {
          let end = unsafe name[start...].firstIndex(of: UInt8(ascii: ".")) ?? name.count
          let part = unsafe name[start..<end]
          if unsafe start < end && part.allSatisfy({ (48...57).contains($0) }) {
            pattern += Self.mark
          } else {
            unsafe pattern += part
          }
          if end < name.count { pattern.append(UInt8(ascii: ".")) }
          start = end + 1
        }
      }
      // Most are known: to look them up allocates nothing.
      if !patterns.contains(pattern) { patterns.insert(pattern) }
    }
    return Set(patterns.map { String(decoding: $0, as: UTF8.self) })
  }

  private static let mark = Array("{e}".utf8)
}
