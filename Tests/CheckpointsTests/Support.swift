// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import Tensors
import TestSupport
import Testing

extension TemporaryFolder {
  /// A safetensors file of small BF16 tensors `[2, 3]`, with the index of each as its bytes.
  func writeTensors(_ tensors: [String], _ name: String) throws {
    try SafetensorsFile.write(
      tensors: tensors.enumerated().map { index, tensor in
        (TensorDeclaration(tensor, .bf16, [2, 3]), bytes: Array(repeating: UInt8(index), count: 12))
      }, to: self[name])
  }

  /// An index of tensor → file.
  func writeIndex(_ map: [String: String], totalSize: JSONValue? = nil) throws {
    var index: [String: JSONValue] = ["weight_map": .object(map.mapValues { .string($0) })]
    if let totalSize { index["metadata"] = ["total_size": totalSize] }
    try write(JSONValue.object(index).serialized(pretty: true), "model.safetensors.index.json")
  }
}

/// The bytes of a safetensors file with this header, and so many bytes of data.
func safetensors(_ json: String, data: Int = 0) -> [UInt8] { safetensors(Array(json.utf8), data: data) }

func safetensors(_ header: [UInt8], data: Int = 0) -> [UInt8] {
  (0..<8).map { UInt8(truncatingIfNeeded: header.count >> (8 * $0)) } + header + Array(repeating: 0, count: data)
}

/// Parses the image of a file.
@discardableResult
func parse(_ image: [UInt8]) throws(CheckpointError) -> SafetensorsHeader {
  try SafetensorsHeader(parsing: image, fileSize: image.count, file: "test.safetensors")
}

/// Demands an error with exactly these codes, in any order, and with all `fragments` in its text.
func expectFaults(
  _ codes: [Fault.Code], _ fragments: String..., sourceLocation: SourceLocation = #_sourceLocation,
  _ body: () throws -> Void
) {
  let error = #expect(throws: CheckpointError.self, sourceLocation: sourceLocation) { try body() }
  guard let error else { return }
  #expect(
    error.faults.map(\.code.rawValue).sorted() == codes.map(\.rawValue).sorted(), "\(error)",
    sourceLocation: sourceLocation)
  for fragment in fragments {
    #expect(error.description.contains(fragment), "no “\(fragment)” in: \(error)", sourceLocation: sourceLocation)
  }
}
