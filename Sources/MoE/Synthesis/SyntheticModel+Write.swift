// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import Checkpoints
internal import Tensors

extension SyntheticModel {
  /// Writes the model into a folder that exists: `config.json` and safetensors, in shards with an index where they are
  /// large, or one GGUF file.
  ///
  /// The values of a tensor depend on the seed and on its name alone, and quantised experts of safetensors are made
  /// from the values of those that are not. Every file appears whole or not at all, and `config.json` is the last.
  ///
  /// - Parameters:
  ///   - folder: a folder that exists.
  ///   - seed: another one gives other values.
  ///   - sparse: leaves the data as holes that read as zeros and take no room: true sizes for trying plans.
  ///   - shardBytes: the size at which a new file begins.
  ///   - pool: the workers that make values and encode them.
  ///   - progress: called with bytes written and bytes in all.
  public func write(
    to folder: String, seed: UInt64, sparse: Bool = false, shardBytes: Int = 5_000_000_000, pool: WorkerPool = .shared,
    progress: ((Int, Int) -> Void)? = nil
  ) throws(CheckpointError) {
    let total = byteCount
    var written = 0
    func fill(_ units: [SyntheticUnit], _ writer: any PieceWriter) throws(CheckpointError) {
      let filler = SyntheticFiller(seed: seed, pool: pool)
      if !sparse {
        try filler.fill(units, writer) { count in
          written += count
          progress?(written, total)
        }
      }
      try writer.finish()
    }
    if type.container == .gguf {
      let tensors = self.tensors.map { GGUFDeclaration($0.name, $0.blockType!, $0.shape) }
      let path = "\(folder)/model-\(type).gguf"
      try fill(units, GGUFWriter(creating: path, metadata: metadata, tensors: tensors, sparse: sparse))
      return
    }
    let shards = units.shards(ofAtMost: shardBytes, \.byteCount)
    let names = ShardName.modelFiles(shards.count)
    for (name, shard) in zip(names, shards) {
      let tensors = shard.flatMap(\.tensors).map { TensorDeclaration($0.name, $0.elementType, $0.shape) }
      try fill(
        shard,
        SafetensorsWriter(
          creating: folder + "/" + name, tensors: tensors, metadata: ["format": "pt"], sparse: sparse))
    }
    if shards.count > 1 {
      let files = zip(names, shards).flatMap { name, shard in shard.flatMap(\.tensors).map { ($0.name, name) } }
      let index = ShardIndex.json(of: files, totalSize: total)
      try AtomicFile.write(index.serialized(pretty: true), to: folder + "/model.safetensors.index.json")
    }
    try AtomicFile.write(JSONValue.object(configuration).serialized(pretty: true), to: folder + "/config.json")
  }
}
