// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import CAccelerators
internal import MoE

/// Where everything between the input and the output of a forward on Hopper lies in scratch memory, in bytes from its start.
///
/// A *pair* is a (token, slot) pair, and a *row* is a pair with an expert, in the order of the experts.
struct HopperWorkspace {
  /// [tokens, H] bf16: the input, where it is given in 32 bits.
  let input: Int
  /// [tokens, H] e4m3 with scales [tokens, ⌈H / 128⌉], where tokens are quantised; or [tokens, ⌈H / 128⌉ · 128] with [tokens].
  let inputCodes, inputScales: Int
  /// [experts + 1], [pairs] and [blocks, experts]: see `moe_hopper_sort_arguments`.
  let offsets, rows, counts: Int
  /// [rows, I], bf16 or e4m3 with scales [rows, ⌈I / 128⌉]; of the stream [pairs, tokens, I].
  let intermediate, intermediateScales: Int
  /// [rows, ⌈I / 128⌉ · 128] e4m3, where rows have one scale: no tile of the first product knows it.
  let intermediateCodes: Int
  /// [pairs, H] bf16: what the experts give.
  let outputs: Int
  let byteCount: Int
  let sortBlocks: Int

  /// - Parameter isStream: whether it is the stream's, which needs an intermediate only.
  init(_ specification: LayerSpecification, _ form: HopperForm, tokens: Int, pairs: Int, isStream: Bool) {
    // All blocks must be resident: they wait for each other.
    sortBlocks = max(1, min(64, (pairs + 511) / 512))
    let (hidden, inner) = (specification.hiddenSize, specification.intermediateSize)
    var end = 0
    func take(_ count: Int, _ width: Int) -> Int {
      defer { end = (end + count * width).aligned(to: 256) }
      return end
    }
    input = take(tokens * hidden, 2)
    let grouped = isStream ? 0 : 1, scaled = form.inputs == .bf16 ? 0 : grouped
    let codedLater = form.inputs == .e4m3InRows ? grouped : 0
    inputCodes = take(scaled * tokens * form.inputColumns(hidden), 1)
    inputScales = take(scaled * tokens * form.inputScales(columns: hidden), 4)
    offsets = take(grouped * (specification.expertCount + 1), 4)
    rows = take(grouped * pairs, 4)
    counts = take(grouped * sortBlocks * specification.expertCount, 4)
    intermediate = take(pairs * (isStream ? tokens : 1) * inner, form.inputs == .e4m3InBlocks && !isStream ? 1 : 2)
    intermediateScales = take(scaled * pairs * form.inputScales(columns: inner), 4)
    intermediateCodes = take(codedLater * pairs * form.inputColumns(inner), 1)
    outputs = take(grouped * pairs * hidden, 2)
    byteCount = end
  }

  /// Bytes for each pair, for plans: what a large batch takes on average, of one slot for each token.
  static func bytesPerRow(of specification: LayerSpecification, _ form: HopperForm) -> Int {
    let pairs = 1 << 16
    return (Self(specification, form, tokens: pairs, pairs: pairs, isStream: false).byteCount + pairs - 1) / pairs
  }
}
