// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// nf4, the 4-bit code book of QLoRA (Dettmers et al., 2023, appendix E) as bitsandbytes stores it: quantiles of the
/// normal distribution scaled to −1 ... 1.
public enum NormalFloat4 {
  /// The value of each of the 16 codes, ascending.
  public static let table: [Float] = [
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453,
    -0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0,
    0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
    0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
  ]

  /// The code next to `value`; a tie goes to the even code, a NaN to the code of 0.
  public static func encode(_ value: Float) -> UInt8 {
    guard !value.isNaN else { return 7 }
    let upper = table.firstIndex { $0 >= value } ?? 15
    guard upper > 0 else { return 0 }
    // In `Double` both distances are exact, so that a tie is a tie.
    let below = Double(value) - Double(table[upper - 1])
    let above = Double(table[upper]) - Double(value)
    let nearest = below == above ? (upper.isMultiple(of: 2) ? upper : upper - 1) : (below < above ? upper - 1 : upper)
    return UInt8(nearest)
  }
}
