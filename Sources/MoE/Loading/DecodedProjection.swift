// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// A quantised projection that a backend keeps as numbers, and why.
struct DecodedProjection {
  var note: String
  /// Whether the backend never keeps codes.
  var isByBackend: Bool

  /// All of them.
  ///
  /// - Parameters:
  ///   - encoding: what the weights are quantised to while they load.
  ///   - kept: the codes that the backend keeps.
  ///   - forms: the codes that there are of whole matrices, of the rank's share, and of that with its padding.
  static func all(
    _ source: ExpertSource, _ encoding: (any QuantizationScheme)?, kept: [Projection: CodedForm],
    _ forms: (whole: [Projection: CodedForm], share: [Projection: CodedForm], padded: [Projection: CodedForm]),
    backend: String
  ) -> [Self] {
    let formats = source.formats
    return source.specification.projections.compactMap { projection in
      guard let scheme = encoding ?? formats[projection], scheme.parameters.form != .dense16, kept[projection] == nil
      else { return nil }
      let reason =
        forms.whole[projection] == nil
        ? "its groups are no runs of columns that a row keeps"
        : forms.share[projection] == nil
          ? "the cut leaves groups of fewer than 8 columns"
          : forms.padded[projection] == nil ? "codes can't be padded" : nil
      return Self(
        note: "\(projection.rawValue) (\(scheme.name)) is decoded and kept as F32: "
          + (reason ?? "the \(backend) backend keeps no codes"), isByBackend: reason == nil)
    }
  }
}
