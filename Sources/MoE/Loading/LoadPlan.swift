// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Checkpoints
internal import Tensors

/// What loading a rank's share of a layer's experts will do: a value made from headers alone, before anything is
/// allocated.
///
/// ```swift
/// let rank = try ParallelLayout(tensorParallel: 2, expertParallel: 4, rank: 5)
/// let plan = try LoadPlan(layer.experts, on: CPUBackend(), as: rank)
/// print(plan.bytesToRead, plan.residentBytes, plan.peakBytes(workers: 8))
/// ```
public struct LoadPlan: Sendable {
  /// This rank's share: its slots, its part of the intermediate size.
  public let specification: LayerSpecification
  /// How the backend keeps it. Its sizes are those of the share, padded to the backend's alignment with zeros.
  public let layout: Layout
  public let rank: ParallelLayout
  public let placement: ExpertPlacement
  /// The part of the intermediate size that this rank keeps.
  public let intermediate: Range<Int>
  /// The transfers of each slot, in the order of slots.
  public let slots: [Slot]
  /// What static input scales follow from; none where the backend applies none.
  public let inputScaleReads: [InputScaleRead]
  /// All experts, of this rank and of others.
  let source: ExpertSource
  /// What a user should know: shares that don't divide, types that are converted.
  public let notes: [String]
  /// What will be slower than the format allows, each with its reason.
  public let slowPaths: [String]

  /// One expert's way from the checkpoint into its slot.
  public struct Slot: Sendable {
    public let slot: LocalExpert
    public let expert: LogicalExpert
    public let transfers: [Transfer]

    /// Bytes read from files.
    public var bytesToRead: Int { transfers.reduce(0) { $0 + $1.bytesToRead } }
    /// Bytes of scratch memory that any of its transfers needs.
    var scratchBytes: Int { transfers.map(\.scratchBytes).max() ?? 0 }
  }

  /// - Parameters:
  ///   - placement: the experts of every rank; each expert once, in order, when nil.
  ///   - type: what the weights are converted or quantised to while they load, rank by rank; nil for what they are.
  /// - Throws: every reason why the backend, the placement or the cut is impossible.
  public init<B: Backend>(
    _ source: ExpertSource, on backend: B, as rank: ParallelLayout = .single, placement: ExpertPlacement? = nil,
    weightType type: WeightType? = nil
  ) throws(MoEError) {
    self.source = source
    let specification = source.specification
    let placement =
      if let placement { placement } else {
        try ExpertPlacement.initial(expertCount: specification.expertCount, ranks: rank.expertParallel)
      }
    guard placement.expertCount == specification.expertCount, placement.rankCount == rank.expertParallel else {
      throw MoEError(
        .invalidArgument, "a placement of other experts or ranks",
        expected: "\(specification.expertCount) experts on \(rank.expertParallel) ranks",
        found: "\(placement.expertCount) on \(placement.rankCount)")
    }
    let encoding = type.flatMap { $0.elementType == nil ? $0.scheme : nil }
    let cut = try IntermediateCut(source, over: rank.tensorParallel, encoding: encoding)
    let kept = cut.ranges[rank.tensorRank]
    let experts = placement.experts(of: rank.expertRank)

    var local = specification
    if let type { try local.convert(to: type) }
    let whole = local.codes
    local.expertCount = experts.count
    local.intermediateSize = kept.count
    local.cutCodes(at: cut.ranges.map(\.lowerBound))
    let share = local.codes
    var tight = try backend.layout(of: local)
    if tight.codes != local.codes {
      local.decodeCodes()
      tight = try backend.layout(of: local)
    }
    self.specification = local
    var padded = local.padded(hidden: tight.hiddenAlignment, intermediate: tight.intermediateAlignment)
    if padded != local { padded.decodeCodes() }
    layout = padded == local ? tight : try backend.layout(of: padded)
    self.rank = rank
    self.placement = placement
    intermediate = kept
    inputScaleReads = Self.inputScaleReads(source, layout.activations)
    let codes = padded == local ? layout.codes : [:]
    slots = experts.enumerated().map { index, expert in
      let transfers = source.experts[expert.rawValue].map { matrix in
        let isDown = matrix.parts.contains { $0.projection == .down }
        return Transfer(
          matrix, rows: isDown ? 0..<specification.hiddenSize : kept,
          columns: isDown ? kept : 0..<specification.hiddenSize, biasRank: !isDown || rank.tensorRank == 0,
          codes: codes, encoding: encoding)
      }
      return Slot(slot: LocalExpert(rawValue: index), expert: expert, transfers: transfers)
    }
    let decoded = DecodedProjection.all(
      source, encoding, kept: codes, (whole, share, padded == local ? share : [:]), backend: backend.name)
    slowPaths = decoded.map(\.note) + (backend is ReferenceBackend ? [Self.referenceNote] : [])
    notes =
      [cut.note, Self.paddingNote(local, padded, backend.name), Self.encodingNote(slots, encoding)].compactMap(\.self)
      + decoded.filter { !$0.isByBackend }.map(\.note)
  }

  private static let referenceNote = "the reference backend computes one number after the other, for checking"

  /// That scales which the whole matrix shares take more than the rank's own bytes.
  private static func encodingNote(_ slots: [Slot], _ encoding: (any QuantizationScheme)?) -> String? {
    guard let encoding, slots.contains(where: { $0.transfers.contains(where: \.isWidened) }) else { return nil }
    return "quantising to \(encoding.name) reads more than the rank's share, because its scales span what other ranks "
      + "keep: so all ranks together hold what one would"
  }

  private static func paddingNote(
    _ tight: LayerSpecification, _ padded: LayerSpecification, _ backend: String
  ) -> String? {
    guard padded != tight else { return nil }
    return "the \(backend) backend pads \(tight.hiddenSize) × \(tight.intermediateSize) (hidden × intermediate) to "
      + "\(padded.hiddenSize) × \(padded.intermediateSize)"
  }

  /// Makes slow paths a refusal.
  ///
  /// - Throws: `unsupportedByBackend` with every reason of ``slowPaths``.
  public func requireFast() throws(MoEError) {
    guard !slowPaths.isEmpty else { return }
    throw MoEError(slowPaths.map { Fault(.unsupportedByBackend, "a slow path: \($0)", remedy: "allow it, or convert") })
  }

  /// Bytes read from files.
  public var bytesToRead: Int { slots.reduce(inputScaleBytes) { $0 + $1.bytesToRead } }
  /// Bytes of the numbers of all experts that static input scales follow from.
  var inputScaleBytes: Int { inputScaleReads.reduce(0) { $0 + $1.piece.byteCount } }
  /// Bytes the backend keeps.
  public var residentBytes: Int { layout.residentBytes }
  /// Bytes at the height of loading: what stays, and what each worker has under way, which is at most a matrix.
  public func peakBytes(workers: Int = 1) -> Int {
    let parts = slots.first.map { self.parts(of: $0) } ?? []
    return residentBytes + min(workers, parts.count * slots.count) * (parts.map(stagingBytes).max() ?? 0)
  }

  /// The transfers of a slot as they are shared out among workers.
  func parts(of slot: Slot) -> [Transfer] { slot.transfers.flatMap { $0.parts(alignment: layout.rowAlignment) } }

  /// Bytes of memory for a transfer on its way.
  private func stagingBytes(_ transfer: Transfer) -> Int { transfer.stagingBytes + paddingBytes(transfer) }
}
