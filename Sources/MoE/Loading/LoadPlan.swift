// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Checkpoints

/// What loading a group of experts will do: a value made from headers alone, before anything is allocated.
///
/// ```swift
/// let plan = LoadPlan(layer.experts, layout: try backend.layout(of: layer.specification))
/// print(plan.bytesToRead, plan.residentBytes, plan.peakBytes)
/// ```
public struct LoadPlan: Sendable {
  public let layout: Layout
  /// The reads and moves of each slot, in the order of slots.
  public let slots: [Slot]

  /// One expert's way from the checkpoint into its slot.
  public struct Slot: Sendable {
    public let slot: LocalExpert
    public let reads: [Read]
    /// Bytes of scratch memory to hold all its reads at once.
    public var stagingBytes: Int { reads.reduce(0) { $0 + $1.byteRange.count } }
  }

  /// A byte range of one tensor, and the matrices that lie in it.
  public struct Read: Sendable {
    public var byteRange: Range<Int>
    public var transfers: [Transfer]
  }

  public init(_ source: ExpertSource, layout: Layout) {
    self.layout = layout
    slots = source.transfers.enumerated().map { index, transfers in
      Slot(slot: LocalExpert(rawValue: index), reads: Self.reads(transfers))
    }
  }

  /// Bytes read from files.
  public var bytesToRead: Int { slots.reduce(0) { $0 + $1.stagingBytes } }
  /// Bytes the backend keeps.
  public var residentBytes: Int { layout.residentBytes }
  /// Bytes at the height of loading on one thread: what stays, and the staging of one expert.
  public var peakBytes: Int { residentBytes + (slots.map(\.stagingBytes).max() ?? 0) }

  /// Joins the transfers that touch the same part of a tensor, so that each byte is read once.
  private static func reads(_ transfers: [Transfer]) -> [Read] {
    var reads: [Read] = []
    for transfer in transfers {
      let range = transfer.byteRange
      if let index = reads.firstIndex(where: {
        $0.transfers[0].tensor.name == transfer.tensor.name && $0.byteRange.lowerBound <= range.upperBound
          && range.lowerBound <= $0.byteRange.upperBound
      }) {
        let joined = reads[index].byteRange
        reads[index].byteRange =
          min(joined.lowerBound, range.lowerBound)..<max(joined.upperBound, range.upperBound)
        reads[index].transfers.append(transfer)
      } else {
        reads.append(Read(byteRange: range, transfers: [transfer]))
      }
    }
    return reads
  }
}
