// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import Checkpoints
internal import Glibc
internal import Tensors

extension SyntheticModel {
  /// Writes `config.json` and the tensors into a folder that exists, in shards with an index where they are large.
  ///
  /// The values of a tensor depend on the seed and on its name alone. Every file appears whole or not at all, and
  /// `config.json` is the last.
  ///
  /// - Parameters:
  ///   - sparse: leaves the data as holes that read as zeros and take no room: true sizes for trying plans.
  ///   - shardBytes: the size at which a new file begins.
  ///   - progress: called with bytes written and bytes in all.
  public func write(
    to folder: String, seed: UInt64, sparse: Bool = false, shardBytes: Int = 5_000_000_000,
    progress: ((Int, Int) -> Void)? = nil
  ) throws(CheckpointError) {
    let shards = shards(ofAtMost: shardBytes)
    let names = shards.indices.map { Self.fileName($0, of: shards.count) }
    let total = byteCount
    var written = 0
    for (name, shard) in zip(names, shards) {
      let writer = try SafetensorsWriter(
        creating: folder + "/" + name,
        tensors: shard.map { TensorDeclaration($0.name, $0.elementType, $0.shape) }, metadata: ["format": "pt"],
        sparse: sparse)
      for tensor in shard {
        if !sparse { try tensor.fill(writer, seed: seed) }
        written += tensor.byteCount
        progress?(written, total)
      }
      try writer.finish()
    }
    if shards.count > 1 {
      let files = zip(names, shards).flatMap { name, shard in shard.map { ($0.name, JSONValue.string(name)) } }
      let index: JSONValue = [
        "metadata": ["total_size": .integer(total)], "weight_map": .object(Dictionary(uniqueKeysWithValues: files)),
      ]
      try AtomicFile.write(index.serialized(pretty: true), to: folder + "/model.safetensors.index.json")
    }
    try AtomicFile.write(JSONValue.object(configuration).serialized(pretty: true), to: folder + "/config.json")
  }

  private func shards(ofAtMost limit: Int) -> [[Tensor]] {
    var shards: [[Tensor]] = [[]]
    var size = 0
    for tensor in tensors {
      if size > 0 && size + tensor.byteCount > limit {
        shards.append([])
        size = 0
      }
      shards[shards.count - 1].append(tensor)
      size += tensor.byteCount
    }
    return shards
  }

  private static func fileName(_ index: Int, of count: Int) -> String {
    guard count > 1 else { return "model.safetensors" }
    func padded(_ number: Int) -> String {
      let digits = String(number)
      return String(repeating: "0", count: max(0, 5 - digits.count)) + digits
    }
    return "model-\(padded(index + 1))-of-\(padded(count)).safetensors"
  }
}

extension SyntheticModel.Tensor {
  /// Writes uniform values of the tensor's deviation, a piece at a time.
  fileprivate func fill(_ writer: SafetensorsWriter, seed: UInt64) throws(CheckpointError) {
    var generator = SplitMix64(
      seed: name.utf8.reduce(seed ^ 0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 })
    let pieceCount = 1 << 18
    let total = shape.elementCount!
    // What an integer becomes in the end is a fraction of its bound.
    let amplitude = elementType == .i64 ? 0x1p-31 : deviation * Float(3).squareRoot() * 0x1p-31
    for start in stride(from: 0, to: total, by: pieceCount) {
      let count = min(pieceCount, total - start)
      let values = unsafe [Float](unsafeUninitializedCapacity: count) { values, initialized in
        for index in 0..<count {
          unsafe values[index] = Float(Int32(truncatingIfNeeded: generator.next() >> 32)) * amplitude
        }
        initialized = count
      }
      try writer.write(name, encode(values), at: start * elementType.bitWidth / 8)
    }
  }

  private func encode(_ values: [Float]) -> [UInt8] {
    guard elementType == .i64 else { return elementType.encode(values) }
    return values.flatMap { value in
      let index = min(Int64((value + 1) / 2 * deviation), Int64(deviation) - 1)
      return (0..<8).map { UInt8(truncatingIfNeeded: index >> (8 * $0)) }
    }
  }
}
