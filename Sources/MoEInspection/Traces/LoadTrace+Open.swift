// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Checkpoints
public import MoE
internal import Tensors

extension LoadTrace {
  /// What a file of routed ids doesn't say.
  public struct ReadingOptions: Sendable, Hashable {
    public var expertCount: Int?
    /// Tokens that make a step; nil for all.
    public var tokensPerStep: Int?

    public init(expertCount: Int? = nil, tokensPerStep: Int? = nil) {
      self.expertCount = expertCount
      self.tokensPerStep = tokensPerStep
    }
  }

  /// Reads a trace, loads, routed ids, or the dump of another engine; `docs/traces.md` lists them.
  ///
  /// - Throws: what can't be read or has no meaning; pickles are refused.
  public init(opening path: String, _ options: ReadingOptions = ReadingOptions()) throws(MoEError) {
    do {
      if let names = try FolderContents.names(of: path) {
        self = try Self.expertStatistic(path, names)
      } else if path.hasSuffix(".json") {
        self = try Self.json(try RandomAccessFile.contents(of: path, limit: 1 << 30), file: path)
      } else {
        self = try Self.tensors(try TensorCatalog(opening: path), file: path, options)
      }
    } catch let error as CheckpointError {
      throw MoEError(error.faults)
    } catch let error as MoEError {
      throw error
    } catch {
      throw MoEError(.unreadable, "\(error)", file: path)
    }
  }

  private typealias Reader = @Sendable (TensorRecord, TensorCatalog, String, ReadingOptions) throws -> LoadTrace

  /// The tensors that can hold loads, and how each is read.
  private static let readers: [(tensor: String, read: Reader)] = [
    (
      "loads",
      { record, catalog, file, _ in
        try counts(record, of: catalog, file: file, layers: try catalog.layerNumbers(file: file))
      }
    ),
    ("logical_count", { record, catalog, file, _ in try counts(record, of: catalog, file: file, layers: nil) }),
    ("expert_load_window", { record, catalog, file, _ in try loadWindow(record, of: catalog, file: file) }),
    ("topk_ids", { record, catalog, file, options in try routedIDs(record, of: catalog, file: file, options) }),
  ]

  private static func tensors(
    _ catalog: TensorCatalog, file: String, _ options: ReadingOptions
  ) throws -> LoadTrace {
    for reader in readers {
      if let record = catalog[reader.tensor] { return try reader.read(record, catalog, file, options) }
    }
    throw MoEError(
      .missingTensor, "no loads in this file", file: file,
      expected: "one of the tensors " + readers.map(\.tensor).joined(separator: ", "),
      found: catalog.records.prefix(8).map(\.name).joined(separator: ", "))
  }

  /// `[layers, experts]` or `[steps, layers, experts]` of any numbers.
  private static func counts(
    _ record: TensorRecord, of catalog: TensorCatalog, file: String, layers: [Int]?
  ) throws -> LoadTrace {
    let shape = record.shape.dimensions
    guard (2...3).contains(shape.count), shape.allSatisfy({ $0 > 0 }) else {
      throw MoEError(
        .shapeMismatch, "loads have another shape", file: file, subject: record.name,
        expected: "[layers, experts] or [steps, layers, experts]", found: "\(record.shape)")
    }
    let (layerCount, expertCount) = (shape[shape.count - 2], shape[shape.count - 1])
    let values = try catalog.doubles(of: record)
    return try LoadTrace(
      layers: layers, layerCount: layerCount, expertCount: expertCount, topK: catalog.number("top_k"),
      steps: values.runs(of: layerCount * expertCount), file: file)
  }

  /// vLLM's state: loads of slots `[steps, layers, slots]`, and the expert of each slot `[layers, slots]`.
  private static func loadWindow(_ record: TensorRecord, of catalog: TensorCatalog, file: String) throws -> LoadTrace {
    let mapName = "physical_to_logical_map"
    guard let map = catalog[mapName], record.shape.rank == 3,
      map.shape.dimensions == Array(record.shape.dimensions.dropFirst()), map.shape.elementCount ?? 0 > 0
    else {
      throw MoEError(
        .shapeMismatch, "loads of slots need the expert of each slot", file: file, subject: record.name,
        expected: "[steps, layers, slots] beside \(mapName) [layers, slots]",
        found: "\(record.shape) beside \(catalog[mapName].map { "\($0.shape)" } ?? "nothing")")
    }
    let (layerCount, slotCount) = (map.shape[0], map.shape[1])
    let experts = try catalog.integers(of: map)
    let expertCount = ModelPlacement.expertCount(of: experts)
    let placements = try ModelPlacement(
      physicalToLogical: experts.runs(of: slotCount), expertCount: expertCount, ranks: 1, file: file
    ).placements
    let steps = try catalog.doubles(of: record).runs(of: layerCount * slotCount).map { step in
      zip(placements, step.runs(of: slotCount)).flatMap { $0.expertLoads($1) }
    }
    return try LoadTrace(layerCount: layerCount, expertCount: expertCount, steps: steps, file: file)
  }

  /// Ids `[tokens, topK]` of one layer, as `moe run` writes them, or `[layers, tokens, topK]`.
  private static func routedIDs(
    _ record: TensorRecord, of catalog: TensorCatalog, file: String, _ options: ReadingOptions
  ) throws -> LoadTrace {
    guard let expertCount = options.expertCount ?? catalog.number("experts"), (1...1 << 20).contains(expertCount) else {
      throw MoEError(
        .invalidArgument, "routed ids don't say how many experts there are", file: file, subject: record.name,
        remedy: "give --experts")
    }
    let shape = record.shape.dimensions
    guard (2...3).contains(shape.count), shape.allSatisfy({ $0 > 0 }) else {
      throw MoEError(
        .shapeMismatch, "routed ids have another shape", file: file, subject: record.name,
        expected: "[tokens, topK] or [layers, tokens, topK]", found: "\(record.shape)")
    }
    let ids = try catalog.integers(of: record)
    let idCount = expertCount + min(max(0, catalog.number("zero_experts") ?? 0), 1 << 20)
    let bad = ids.filter { !(-1..<idCount).contains($0) }
    guard bad.isEmpty else {
      throw MoEError(
        .invalidValue, "\(bad.count) id(s) that are no expert", file: file, subject: record.name,
        expected: "−1 (skipped) or 0..<\(idCount)", found: "\(bad[0])")
    }
    let (layerCount, tokenCount, topK) = (shape.count == 3 ? shape[0] : 1, shape[shape.count - 2], shape.last!)
    let perStep = min(tokenCount, max(1, options.tokensPerStep ?? tokenCount))
    let stepCount = (tokenCount + perStep - 1) / perStep
    guard Double(stepCount) * Double(layerCount) * Double(expertCount) <= 0x1p30 else {
      throw MoEError(
        .tooLarge, "a trace of too many steps", file: file,
        expected: "at most 2³⁰ loads", found: "\(stepCount) steps × \(layerCount) layers × \(expertCount) experts",
        remedy: "give --tokens-per-step")
    }
    var steps = Array(repeating: Array(repeating: 0.0, count: layerCount * expertCount), count: stepCount)
    for (index, id) in ids.enumerated() where (0..<expertCount).contains(id) {
      let (layer, token) = (index / topK / tokenCount, index / topK % tokenCount)
      steps[token / perStep][layer * expertCount + id] += 1
    }
    return try LoadTrace(
      layers: shape.count == 2 ? catalog.number("layer").map { [$0] } : try catalog.layerNumbers(file: file),
      layerCount: layerCount, expertCount: expertCount, topK: topK, steps: steps, file: file)
  }
}

extension TensorCatalog {
  fileprivate func number(_ key: String) -> Int? { metadata.first?[key].flatMap { Int($0) } }

  /// The metadata's `layers`: numbers with commas between them.
  fileprivate func layerNumbers(file: String) throws(MoEError) -> [Int]? {
    guard let text = metadata.first?["layers"] else { return nil }
    let numbers = text.split(separator: ",", omittingEmptySubsequences: false).map { Int($0) }
    guard numbers.allSatisfy({ $0 != nil }) else {
      throw MoEError(
        .invalidValue, "the numbers of the layers can't be read", file: file, subject: "metadata layers",
        expected: "such as 3,4,5", found: text)
    }
    return numbers.compactMap(\.self)
  }
}

extension Array {
  /// Rows of a matrix.
  func runs(of count: Int) -> [[Element]] {
    stride(from: 0, to: self.count, by: Swift.max(1, count)).map {
      Array(self[$0..<Swift.min($0 + count, self.count)])
    }
  }
}
