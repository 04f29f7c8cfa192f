// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import CMoEInterface
import Checkpoints
import Testing

/// The oracle's Mixtral: two layers of eight experts, hidden size 64, intermediate size 96, top 2.
enum Fixture {
  static let path: String = {
    let parts = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(2)
    return parts.joined(separator: "/") + "/Oracle/cases/arch_mixtral"
  }()
  static let (hidden, experts, topK) = (64, 8, 2)

  /// A tensor of the oracle, such as `layers.0.input`.
  static func oracle(_ name: String) throws -> [Float] {
    let catalog = try TensorCatalog(opening: path + "/oracle.safetensors")
    return try catalog.floats(of: #require(catalog[name]))
  }

  static func checkpoint() throws -> OpaquePointer {
    var checkpoint: OpaquePointer?
    try expectOK(moe_checkpoint_open(path, &checkpoint))
    return try #require(checkpoint)
  }

  /// A layer of the checkpoint.
  static func layer(
    _ index: Int32 = 0, _ options: moe_load_options = moe_load_options_make()
  ) throws -> OpaquePointer {
    let checkpoint = try checkpoint()
    defer { moe_checkpoint_free(checkpoint) }
    var layer: OpaquePointer?
    var options = options
    try expectOK(moe_layer_load(checkpoint, index, &options, &layer))
    return try #require(layer)
  }
}

var lastError: String { String(cString: moe_last_error()) }

func expectOK(_ result: moe_result, _ location: SourceLocation = #_sourceLocation) throws {
  try #require(result == MOE_OK, "\(lastError)", sourceLocation: location)
}

/// Expects a result, and all of some texts in the error.
func expect(
  _ result: moe_result, _ code: Int, _ texts: String..., location: SourceLocation = #_sourceLocation
) {
  #expect(Int(result) == code, "\(lastError)", sourceLocation: location)
  for text in texts { #expect(lastError.contains(text), sourceLocation: location) }
}

/// An array in memory that C writes to.
final class Memory<Element: BitwiseCopyable> {
  let pointer: UnsafeMutableBufferPointer<Element>

  init(_ values: [Element]) {
    pointer = .allocate(capacity: max(values.count, 1))
    _ = pointer.initialize(from: values)
  }

  deinit { pointer.deallocate() }

  var values: [Element] { Array(pointer) }

  /// `[rows, columns]`, row after row.
  func matrix(_ dtype: Int, _ rows: Int, _ columns: Int) -> moe_tensor {
    moe_matrix(pointer.baseAddress, moe_dtype(dtype), Int64(rows), Int64(columns))
  }
}

func relativeError(_ found: [Float], _ expected: [Float]) -> Double {
  let (difference, norm) = zip(found, expected).reduce((0.0, 0.0)) { sums, pair in
    let error = Double(pair.0) - Double(pair.1)
    return (sums.0 + error * error, sums.1 + Double(pair.1) * Double(pair.1))
  }
  return found.count == expected.count ? (difference / norm).squareRoot() : .infinity
}

/// Numbers that look random.
func numbers(_ count: Int, seed: Int = 1) -> [Float] {
  (0..<count).map { Float(($0 &* 7919 &+ seed &* 104_729) % 1009) / 504.5 - 1 }
}
