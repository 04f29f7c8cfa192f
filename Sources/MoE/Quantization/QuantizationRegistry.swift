// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Checkpoints
internal import Tensors

/// The formats that a program knows; a value, passed to whoever opens a checkpoint.
///
/// ```swift
/// var registry = QuantizationRegistry.standard
/// registry.register(MyFormat.self)
/// let scheme = try registry.scheme(of: ProjectionTensors(stem, in: catalog), settings)
/// ```
public struct QuantizationRegistry: Sendable {
  public private(set) var formats: [any QuantizationScheme.Type]

  public init(_ formats: [any QuantizationScheme.Type]) { self.formats = formats }

  /// Adds a format; it takes precedence over those before it.
  public mutating func register(_ format: any QuantizationScheme.Type) { formats.insert(format, at: 0) }

  /// The scheme of a projection: the first format that recognises its tensors.
  ///
  /// - Throws: `.unsupported`, naming the method and what was found, when none does; what `recognize` throws.
  public func scheme(
    of found: ProjectionTensors, _ settings: QuantizationSettings
  ) throws(MoEError) -> any QuantizationScheme {
    let module = try settings.module(found.stem)
    for format in formats {
      guard let scheme = try format.recognize(found, module) else { continue }
      try check(settings.method, isQuantized: format.methods != [], settings.file)
      return scheme
    }
    if let refusal = ModelOpt.refusal(module) { throw refusal }
    try check(settings.method, isQuantized: true, settings.file)
    throw MoEError(
      .unsupported, "no known format has these tensors", file: settings.file, subject: found.stem,
      expected: "one of " + formats.map { $0.formatName }.joined(separator: ", "),
      found: [settings.method.map { "quant_method \($0)" }, found.endings].compactMap(\.self).joined(
        separator: " with "),
      remedy: "register a QuantizationScheme that declares the format")
  }

  /// A method that nobody knows may mean anything by tensors of known names.
  private func check(_ method: String?, isQuantized: Bool, _ file: String) throws(MoEError) {
    let known = Set(formats.flatMap { $0.methods })
    guard isQuantized, let method, !known.contains(method) else { return }
    throw MoEError(
      .unsupported, "unknown method of quantisation", file: file, subject: "quant_method",
      expected: "one of " + known.sorted().joined(separator: ", "), found: method,
      remedy: "register a QuantizationScheme that declares the format")
  }

  /// Every format of this package. Those that have tensors of their own come first.
  public static let standard = Self([
    Unquantized.self,
    GGMLBlocks.self,
    GPTOSSMXFP4.self,
    BitsAndBytes4.self,
    BitsAndBytes8.self,
    AWQ.self,
    GPTQ.self,
    NVFP4.self,
    PackedIntegers.self,
    MXFP6.self,
    MXFP4.self,
    ChannelIntegers.self,
    MXFP8.self,
    FP8.self,
  ])
}
