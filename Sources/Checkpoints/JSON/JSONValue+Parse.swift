// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

extension JSONValue {
  /// How to treat `NaN`, `Infinity` and `-Infinity`, which are no JSON, but which Python's `json` writes.
  public enum NonFiniteNumbers: Sendable {
    case rejected
    case accepted
  }

  /// Parses one document: RFC 8259 without its freedoms.
  ///
  /// Rejected: text that is not UTF-8, a key twice in an object at any level, control characters and NUL in strings
  /// (escaped: NUL only), lone surrogates, leading zeros, numbers beyond the range of `Double`, more than 64 levels,
  /// keys of more than 4,096 bytes, and anything after the value. Keys that differ only in their Unicode normal form
  /// are the same key.
  ///
  /// - Parameters:
  ///   - bytes: The whole text, in UTF-8.
  ///   - file: The name for messages.
  ///   - nonFiniteNumbers: Whether numbers that are no JSON are taken.
  public init(
    parsing bytes: [UInt8], file: String = "JSON", nonFiniteNumbers: NonFiniteNumbers = .rejected
  ) throws(CheckpointError) {
    var reader = JSONReader(bytes, file: file, acceptsNonFiniteNumbers: nonFiniteNumbers == .accepted)
    self = try reader.readValue()
    try reader.finish()
  }
}
