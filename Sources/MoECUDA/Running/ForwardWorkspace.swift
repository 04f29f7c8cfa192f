// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import CAccelerators
internal import MoE
internal import Tensors

/// Where everything between the input and the output of a forward lies in scratch memory, in bytes from its start.
///
/// A *slot* is a (token, slot) pair, and a *row* is a slot with an expert, in the order of the experts.
struct ForwardWorkspace {
  /// [blocks, experts], [1 + experts], [slots], [slots] and [tiles]: see `moe_sort_arguments`.
  let counts, offsets, slotOfRow, rowOfSlot, tiles: Int
  /// The greatest magnitudes that quantisation needs, one for each product.
  let greatest: Int
  /// [rows, H] 32-bit: the input, where it is quantised.
  let quantized: Int
  /// [rows, I]
  let intermediate: Int
  /// [rows, H] 32-bit: what the experts give.
  let rows: Int
  let byteCount: Int

  let blocks, tileRows, tileCount: Int
  let intermediateType: ElementType

  init(
    _ specification: LayerSpecification, _ precision: ActivationPrecision, _ schemes: ActivationSchemes, slots: Int
  ) {
    let experts = specification.expertCount
    blocks = (slots + MOE_SORT_SLOTS - 1) / MOE_SORT_SLOTS
    // 16 rows where an expert has few: less of a tile is wasted, and it takes more blocks to stream the weights.
    tileRows = precision == .bf16 && slots <= 24 * experts ? 16 : 64
    tileCount = min(experts, slots) + slots / tileRows
    intermediateType = precision == .bf16 ? .bf16 : .f32
    var end = 0
    func take(_ count: Int, _ width: Int) -> Int {
      defer { end = (end + count * width).aligned(to: 256) }
      return end
    }
    counts = take(blocks * experts, 4)
    offsets = take(experts + 1, 4)
    slotOfRow = take(slots, 4)
    rowOfSlot = take(slots, 4)
    tiles = take(tileCount, MemoryLayout<moe_tile>.stride)
    greatest = take(2, 4)
    quantized = take(schemes.gateUp == .unquantized ? 0 : slots * specification.hiddenSize, 4)
    intermediate = take(slots * specification.intermediateSize, intermediateType.bitWidth / 8)
    rows = take(slots * specification.hiddenSize, 4)
    byteCount = end
  }

  /// Bytes for each slot, for plans: what a large batch takes on average.
  static func bytesPerRow(
    of specification: LayerSpecification, _ precision: ActivationPrecision, _ schemes: ActivationSchemes
  ) -> Int {
    let slots = 1 << 16
    let workspace = Self(specification, precision, schemes, slots: slots)
    return (workspace.byteCount + slots - 1) / slots
  }
}
