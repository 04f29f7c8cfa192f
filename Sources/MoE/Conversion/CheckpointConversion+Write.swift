// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import Checkpoints
internal import Synchronization
internal import Tensors

extension CheckpointConversion {
  /// Writes the files of the new checkpoint into an empty folder: safetensors, in shards with an index where they are
  /// large, then `config.json`.
  ///
  /// Each worker holds one expert at a time. Files appear whole or not at all.
  ///
  /// - Parameters:
  ///   - shardBytes: the size at which a new file begins.
  ///   - progress: called with bytes written and bytes in all, from any worker, one call at a time.
  public func write(
    to folder: String, shardBytes: Int = 5_000_000_000, pool: WorkerPool = .shared,
    progress: (@Sendable (Int, Int) -> Void)? = nil
  ) throws(MoEError) {
    let tensors = self.tensors
    let total = byteCount
    let output = try Output(tensors, folder: folder, shardBytes: shardBytes)
    let plans = try expertPlans()
    let experts = Dictionary(grouping: matrices) { ExpertKey(layer: $0.layer, expert: $0.expert) }
      .sorted { ($0.key.layer, $0.key.expert) < ($1.key.layer, $1.key.expert) }
    let catalog = model.checkpoint.catalog
    let written = Mutex(0)
    let faults = Mutex<[Fault]>([])
    @Sendable func put(_ name: String, _ bytes: [UInt8], _ offset: Int) throws(MoEError) {
      try output.write(name, bytes, at: offset)
      written.withLock {
        $0 += bytes.count
        progress?($0, total)
      }
    }
    pool.forEach(carried.count + experts.count) { index in
      do throws(MoEError) {
        if index < carried.count {
          try copy(carried[index], put)
        } else {
          let (key, matrices) = experts[index - carried.count]
          let plan = plans[key.layer]!
          let values = try plan.values(of: plan.slots[key.expert], from: catalog)
          for matrix in matrices {
            for (name, offset, bytes) in try matrix.encoded(values) { try put(name, bytes, offset) }
          }
        }
      } catch {
        faults.withLock { $0 += error.faults }
      }
    }
    let found = faults.withLock { $0 }
    guard found.isEmpty else { throw MoEError(found) }
    try output.finish()
    do throws(CheckpointError) {
      if output.files.count > 1 {
        let index = ShardIndex.json(of: output.fileOfTensor.map { ($0.key, output.files[$0.value]) }, totalSize: total)
        try AtomicFile.write(index.serialized(pretty: true), to: folder + "/model.safetensors.index.json")
      }
      try AtomicFile.write(configuration.serialized(pretty: true), to: folder + "/config.json")
    } catch {
      throw MoEError(error.faults)
    }
  }

  private struct ExpertKey: Hashable {
    var layer: Int
    var expert: Int
  }

  /// Where the values of each layer's experts come from.
  private func expertPlans() throws(MoEError) -> [Int: LoadPlan] {
    var plans: [Int: LoadPlan] = [:]
    for index in Set(matrices.map(\.layer)) {
      plans[index] = try LoadPlan(model.layer(index).experts, on: ReferenceBackend())
    }
    return plans
  }

  /// Copies a tensor piece by piece.
  private func copy(
    _ record: TensorRecord, _ put: (String, [UInt8], Int) throws(MoEError) -> Void
  ) throws(MoEError) {
    let step = 8 << 20
    for start in stride(from: 0, to: record.byteCount, by: step) {
      let range = start..<min(start + step, record.byteCount)
      let bytes: [UInt8]
      do throws(CheckpointError) {
        bytes = try model.checkpoint.catalog.bytes(of: record, in: range)
      } catch {
        throw MoEError(error.faults)
      }
      try put(record.name, bytes, start)
    }
  }
}

/// The shards under way; several workers write to them in turns.
private final class Output: Sendable {
  let files: [String]
  let fileOfTensor: [String: Int]
  private let writers: Mutex<Writers>

  private struct Writers: ~Copyable {
    var list: [SafetensorsWriter]
  }

  init(_ tensors: [TensorDeclaration], folder: String, shardBytes: Int) throws(MoEError) {
    let shards = tensors.shards(ofAtMost: shardBytes) { $0.byteCount! }
    files = ShardName.modelFiles(shards.count)
    var places: [String: Int] = [:]
    for (index, shard) in shards.enumerated() { for tensor in shard { places[tensor.name] = index } }
    fileOfTensor = places
    var list: [SafetensorsWriter] = []
    do throws(CheckpointError) {
      for (file, shard) in zip(files, shards) {
        list.append(
          try SafetensorsWriter(creating: folder + "/" + file, tensors: shard, metadata: ["format": "pt"]))
      }
    } catch {
      throw MoEError(error.faults)
    }
    writers = Mutex(Writers(list: list))
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
