// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Checkpoints
internal import Synchronization
internal import Tensors

extension CheckpointConversion {
  /// Writes the new checkpoint: into an empty folder as safetensors, in shards with an index where they are large, then
  /// `config.json`; or a GGUF file.
  ///
  /// Each worker holds one expert at a time. Files appear whole or not at all.
  ///
  /// - Parameters:
  ///   - path: the folder, or the GGUF file.
  ///   - shardBytes: the size at which a new file of safetensors begins.
  ///   - pool: the workers that encode.
  ///   - progress: called with bytes written and bytes in all, from any worker, one call at a time.
  public func write(
    to path: String, shardBytes: Int = 5_000_000_000, pool: WorkerPool = .shared,
    progress: (@Sendable (Int, Int) -> Void)? = nil
  ) throws(MoEError) {
    let tensors = self.tensors
    let total = byteCount
    let output =
      container == .gguf
      ? try Output(tensors, metadata, file: path) : try Output(tensors, folder: path, shardBytes: shardBytes)
    let plans = try experts.map { (expert) throws(MoEError) in try expert.plan() }
    let catalog = model.checkpoint.catalog
    let written = Mutex(0)
    @Sendable func put(_ name: String, _ bytes: [UInt8], _ offset: Int) throws(MoEError) {
      try output.write(name, bytes, at: offset)
      written.withLock {
        $0 += bytes.count
        progress?($0, total)
      }
    }
    try pool.tryForEach(carried.count + experts.count) { (index) throws(MoEError) in
      guard index >= carried.count else { return try carried[index].copy(from: catalog, put) }
      let expert = experts[index - carried.count]
      let plan = plans[index - carried.count]
      let values = try plan.map { (plan) throws(MoEError) in
        try plan.values(of: plan.slots[expert.expert], from: catalog)
      }
      for matrix in expert.matrices {
        for (name, offset, bytes) in try matrix.encoded(values ?? [], from: catalog) {
          try put(name, bytes, offset)
        }
      }
    }
    try output.finish()
    if container == .safetensors { try writeSettings(to: path, output, total) }
  }

  /// What stands beside the tensors.
  private func writeSettings(to folder: String, _ output: Output, _ total: Int) throws(MoEError) {
    do throws(CheckpointError) {
      if output.files.count > 1 {
        let index = ShardIndex.json(of: output.fileOfTensor.map { ($0.key, output.files[$0.value]) }, totalSize: total)
        try AtomicFile.write(index.serialized(pretty: true), to: folder + "/model.safetensors.index.json")
      }
      if !metadata.isEmpty {
        try GGUFWriter(creating: "\(folder)/\(Self.vocabularyName)", metadata: metadata, tensors: []).finish()
      }
      try AtomicFile.write(configuration.serialized(pretty: true), to: folder + "/config.json")
    } catch {
      throw MoEError(error.faults)
    }
  }
}

/// The files under way; several workers write to them in turns.
private final class Output: Sendable {
  let files: [String]
  let fileOfTensor: [String: Int]
  private let writers: Mutex<Writers>

  private struct Writers: ~Copyable {
    var list: [any PieceWriter]
  }

  /// Shards of safetensors.
  init(_ tensors: [OutputTensor], folder: String, shardBytes: Int) throws(MoEError) {
    let shards = tensors.shards(ofAtMost: shardBytes, \.byteCount)
    files = ShardName.modelFiles(shards.count)
    var places: [String: Int] = [:]
    for (index, shard) in shards.enumerated() { for tensor in shard { places[tensor.name] = index } }
    fileOfTensor = places
    var list: [any PieceWriter] = []
    do throws(CheckpointError) {
      for (file, shard) in zip(files, shards) {
        list.append(
          try SafetensorsWriter(
            creating: folder + "/" + file, tensors: shard.map(\.declaration), metadata: ["format": "pt"]))
      }
    } catch {
      throw MoEError(error.faults)
    }
    writers = Mutex(Writers(list: list))
  }

  /// A GGUF file.
  init(_ tensors: [OutputTensor], _ metadata: [String: GGUFValue], file: String) throws(MoEError) {
    files = [file]
    fileOfTensor = Dictionary(uniqueKeysWithValues: tensors.map { ($0.name, 0) })
    do throws(CheckpointError) {
      let writer = try GGUFWriter(creating: file, metadata: metadata, tensors: tensors.compactMap(\.inGGUF))
      writers = Mutex(Writers(list: [writer]))
    } catch {
      throw MoEError(error.faults)
    }
  }

  func write(_ name: String, _ bytes: [UInt8], at offset: Int) throws(MoEError) {
    let file = fileOfTensor[name]!
    let failure = writers.withLock { writers -> CheckpointError? in
      do throws(CheckpointError) {
        try writers.list[file].write(name, bytes, at: offset)
        return nil
      } catch {
        return error
      }
    }
    if let failure { throw MoEError(failure.faults) }
  }

  func finish() throws(MoEError) {
    let failure = writers.withLock { writers -> CheckpointError? in
      do throws(CheckpointError) {
        for writer in writers.list { try writer.finish() }
        return nil
      } catch {
        return error
      }
    }
    if let failure { throw MoEError(failure.faults) }
  }
}
