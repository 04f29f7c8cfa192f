// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import Glibc
import MoE
import MoECUDA

/// A case of the oracle (`Tests/Oracle/README.md`): gate, router, experts and shared experts against the recording, and
/// against the reference with activations in bf16 and as declared.
struct OracleCheck {
  let folder: String
  private let name: String

  init(_ folder: String) {
    self.folder = folder
    name = String(folder.split(separator: "/").last ?? "")
  }

  static func folders(in path: String) throws -> [String] {
    guard let directory = unsafe opendir(path) else {
      throw MoEError(.invalidArgument, "no such folder", file: path)
    }
    defer { unsafe closedir(directory) }
    var names: [String] = []
    while let entry = unsafe readdir(directory) {
      let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { pointer in
        unsafe pointer.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
      }
      if unsafe access("\(path)/\(name)/case.json", R_OK) == 0 { names.append(name) }
    }
    return names.sorted().map { "\(path)/\($0)" }
  }

  func run() throws -> [Finding] {
    let model = try MoEModel(opening: folder)
    let recording = try TensorCatalog(opening: "\(folder)/oracle.safetensors")
    var errors: [String: (Double, Double)] = [:]
    func note(_ name: String, _ error: Double, _ bound: Double) {
      errors[name] = (max(error, errors[name]?.0 ?? 0), bound)
    }
    for layer in model.layers {
      func floats(_ tensor: String) throws -> [Float]? {
        try recording["layers.\(layer.index).\(tensor)"].map { try recording.floats(of: $0) }
      }
      guard let hidden = try floats("input"), let block = try floats("block_output") else {
        throw MoEError(.missingTensor, "no recording", file: folder, subject: "layer \(layer.index)")
      }
      let ids = try recording["layers.\(layer.index).input_ids"].map { try recording.integers(of: $0).map(Int32.init) }
      let input = MoEInput(expertInput: try floats("expert_input"), tokenIDs: ids)
      let exact = try MoELayer(layer, of: model, on: CUDABackend(activations: .f32)).forward(hidden, input)
      note("f32", relativeError(exact.output, block), 1e-4)
      let again = try MoELayer(layer, of: model, on: CUDABackend(activations: .f32)).forward(hidden, input)
      note("two runs", again.output == exact.output ? 0 : 1, 0)
      // Near ties may fall either way: from here on it is the experts that are checked.
      let replayed = MoEInput(expertInput: try floats("expert_input"), routing: exact.routing, tokenIDs: ids)
      for (precision, bound) in [(ActivationPrecision.bf16, 1e-2), (.declared, 1e-2)] {
        let found = try MoELayer(layer, of: model, on: CUDABackend(activations: precision)).forward(hidden, replayed)
        let truth = try MoELayer(
          layer, of: model, on: ReferenceBackend(activations: precision == .bf16 ? .f32 : .declared)
        )
        .forward(hidden, replayed)
        note(precision.rawValue, relativeError(found.output, truth.output), bound)
      }
    }
    return errors.sorted { $0.key < $1.key }.map {
      Finding(name: "\(name) \($0.key)", error: $0.value.0, bound: $0.value.1)
    }
  }
}
