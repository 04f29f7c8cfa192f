// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import Glibc
import MoE
import Tensors

/// What is fuzzed: whatever the bytes are, each of these gives a value or throws.
private let targets: [String: @Sendable ([UInt8]) -> Void] = [
  "safetensors": { bytes in
    guard let header = try? SafetensorsHeader(parsing: bytes, fileSize: bytes.count + 4096, file: "f") else { return }
    // Every byte of the data belongs to one tensor.
    let sum = header.tensors.reduce(0) { $0 + $1.byteCount }
    precondition(header.dataOffset + sum == bytes.count + 4096, "accepted a header that does not fill its file")
  },
  "index": { bytes in
    guard let index = try? ShardIndex(parsing: bytes, file: "f") else { return }
    precondition(
      index.files.allSatisfy { !$0.hasPrefix("/") && !$0.split(separator: "/").contains("..") }, "a file outside")
  },
  "config": { bytes in
    guard let value = try? JSONValue(parsing: bytes, file: "f") else { return }
    precondition((try? JSONValue(parsing: Array(value.serialized().utf8))) == value, "no round trip")
    let configuration = ModelConfiguration(value, file: "f")
    _ = ArchitectureRegistry.standard.match(configuration)
    for quantity in [ModelConfiguration.Quantity.expertCount, .topK, .hiddenSize, .intermediateSize, .layerCount] {
      _ = try? configuration.required(quantity)
    }
  },
  "gguf": { bytes in
    guard let header = try? GGUFHeader(parsing: bytes, fileSize: bytes.count + 4096, file: "f") else { return }
    for tensor in header.tensors {
      precondition(tensor.offset >= 0 && tensor.offset + tensor.byteCount <= bytes.count + 4096, "a tensor outside")
    }
  },
  "quantization": { bytes in
    guard let value = try? JSONValue(parsing: bytes, file: "f") else { return }
    guard let settings = try? QuantizationSettings(value, file: "f") else { return }
    _ = settings.unmatched(["model.layers.0.mlp.gate", "lm_head"])
  },
]

private let target: @Sendable ([UInt8]) -> Void = {
  let name = unsafe getenv("MOE_FUZZ_TARGET").map { unsafe String(cString: $0) } ?? ""
  guard let target = targets[name] else {
    fatalError("MOE_FUZZ_TARGET must be one of \(targets.keys.sorted().joined(separator: ", "))")
  }
  return target
}()

/// What libFuzzer calls.
@c(LLVMFuzzerTestOneInput)
public func fuzz(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
  target(Array(unsafe UnsafeBufferPointer(start: data, count: size)))
  return 0
}
