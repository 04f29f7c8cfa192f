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
    /// Projections that are decoded to 32 bits on the way.
    public let decodes: [QuantizedTransfer]

    /// Bytes read from files.
    public var bytesToRead: Int {
      reads.reduce(0) { $0 + $1.byteRange.count } + decodes.reduce(0) { $0 + $1.byteCount }
    }

    /// Bytes of scratch memory to hold what is read as it is, and what is decoded.
    public var stagingBytes: Int { decodedOffset + decodes.reduce(0) { $0 + $1.decodedByteCount } }

    /// Where decoded projections begin in the scratch memory: after what is read as it is, aligned.
    var decodedOffset: Int {
      let read = reads.reduce(0) { $0 + $1.byteRange.count }
      return decodes.isEmpty ? read : (read + 63) / 64 * 64
    }
  }

  /// A byte range of one tensor, and the matrices that lie in it.
  public struct Read: Sendable {
    public var byteRange: Range<Int>
    public var transfers: [Transfer]
  }

  public init(_ source: ExpertSource, layout: Layout) {
    self.layout = layout
    slots = zip(source.transfers, source.quantized).enumerated().map { index, expert in
      Slot(slot: LocalExpert(rawValue: index), reads: Self.reads(expert.0), decodes: expert.1)
    }
  }

  /// Bytes read from files.
  public var bytesToRead: Int { slots.reduce(0) { $0 + $1.bytesToRead } }
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
