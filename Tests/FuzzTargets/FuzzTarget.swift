// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// A reader of what comes from elsewhere: whatever the bytes are, it accepts or refuses them, and what it accepts holds by
/// rules that share no code with it.
///
/// The same targets are fed by coverage (libFuzzer, `scripts/fuzz`) and by chance (`FuzzTests`); both begin with `Corpus/`.
public struct FuzzTarget: Sendable {
  public let name: String
  /// Reads an input.
  public let read: @Sendable ([UInt8]) -> Outcome

  public enum Outcome: Sendable, Hashable {
    case accepted
    case refused
    /// Accepted, and wrong; or refused without saying what is wrong.
    case wrong(String)
  }

  public static let all = [safetensors, index, config, quantization, gguf]
}
