// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import Tensors

/// A format of quantised weights with its parameters: how it is recognised, which tensors a projection has, and what
/// their bytes mean.
///
/// One format is one type in one file and one line in ``QuantizationRegistry/standard``. Logical shapes are
/// `[out, in]`, written `[rows, columns]`.
///
/// ```swift
/// let found = ProjectionTensors(stem, in: catalog)
/// let scheme = try QuantizationRegistry.standard.scheme(of: found, settings)
/// scheme.name                                                     // "GPTQ, 4 bits, groups of 128"
/// let decoder = try scheme.decoder(of: stored)
/// let tile = try decoder.decode(rows: 0..<16, columns: 128..<256) // [16, 128] floats
/// let again = try scheme.encode(decoder.decode(), rows: stored.rows, columns: stored.columns)
/// ```
public protocol QuantizationScheme: Sendable {
  /// The name of the format, without parameters.
  static var formatName: String { get }

  /// Every `quant_method` under which it is found; none for weights that are not quantised.
  static var methods: [String] { get }

  /// The scheme of a projection when it is of this format; nil when it is not.
  ///
  /// The tensors that are present decide; settings only say what tensors do not (the size of a group, how a zero point
  /// is meant).
  ///
  /// - Throws: `.configuration` when it is of this format, and a parameter has no meaning or is not given.
  static func recognize(_ found: ProjectionTensors, _ settings: ModuleSettings) throws(MoEError) -> Self?

  /// For people: the format and its parameters.
  var name: String { get }

  /// The tensors of a projection on disk.
  var tensors: [QuantizedTensor] { get }

  /// The same format with weights stored `[in, out]`; nil where that has no defined meaning, which is the default.
  var inputMajor: Self? { get }

  var parameters: QuantizationParameters { get }

  /// How a backend may keep the weights as codes, without loss; nil where it can't, and they are decoded.
  ///
  /// - Parameters:
  ///   - columns: of the whole matrix.
  ///   - stored: the types of the tensors that are there.
  func codedForm(columns: Int, stored: [TensorRole: ElementType]) -> CodedForm?

  /// Prepares the decoding of a projection whose tensors have been found to have declared types and shapes.
  ///
  /// Called by ``QuantizationScheme/decoder(of:)``. The weights are those of `[out, in]`, in float32.
  ///
  /// - Throws: What is wrong with values that decoding depends on, such as group indices out of range.
  func makeDecoder(_ stored: StoredProjection) throws(MoEError) -> any TileDecoder

  /// The bytes of each tensor that is written, in its first type and arrangement.
  ///
  /// Called by ``QuantizationScheme/encode(_:rows:columns:name:)``, with weights that are finite and of sizes that divide. The default
  /// writes nothing.
  ///
  /// - Throws: `.unsupported` for parameters that are only read, `.invalidValue` for weights beyond the format's range.
  func makeEncoding(_ weights: WeightMatrix) throws(MoEError) -> [TensorRole: [UInt8]]
}

extension QuantizationScheme {
  public var inputMajor: Self? { nil }

  /// The form that ``parameters`` and the type of the scales give. Columns that a group index sends anywhere have none.
  public func codedForm(columns: Int, stored: [TensorRole: ElementType]) -> CodedForm? {
    guard parameters.form != .dense16, stored[.groupIndex] == nil, let type = stored[.scale],
      let number = CodedForm.Number(type)
    else { return nil }
    var form = parameters.codedForm(columns: columns, scale: number)
    if parameters.form == .fp8 && stored[.weight] == .f8e4m3 { form?.code = .e4m3 }
    return form
  }

  /// The decoder of a projection; the oracle of every faster way.
  ///
  /// - Throws: All that is wrong with the tensors: `.missingTensor`, `.typeMismatch`, `.shapeMismatch`,
  ///   `.unexpectedTensor`, `.sizeMismatch`, and `.invalidValue` for contents.
  public func decoder(of stored: StoredProjection) throws(MoEError) -> any TileDecoder {
    let faults = faults(in: stored)
    guard faults.isEmpty else { throw MoEError(faults) }
    return try makeDecoder(stored)
  }

  /// The declared tensor of a role.
  public func tensor(_ role: TensorRole) -> QuantizedTensor? { tensors.first { $0.role == role } }
}
