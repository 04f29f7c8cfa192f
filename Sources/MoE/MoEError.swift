// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import Tensors

/// Everything that is wrong with a request to this module, as a list of faults.
///
/// ```swift
/// do {
///   let model = try MoEModel(opening: path)
/// } catch {
///   for fault in error.faults where fault.code == .missingTensor { print(fault) }
/// }
/// ```
public struct MoEError: Error, Sendable, Hashable {
  public var faults: [Fault]

  public init(_ faults: [Fault]) { self.faults = faults }

  public init(
    _ code: Fault.Code, _ message: String, file: String? = nil, subject: String? = nil, expected: String? = nil,
    found: String? = nil, remedy: String? = nil
  ) {
    faults = [
      Fault(code, message, file: file, subject: subject, expected: expected, found: found, remedy: remedy)
    ]
  }
}

extension MoEError: CustomStringConvertible {
  public var description: String { faults.map(\.description).joined(separator: "\n") }
}

extension Fault.Code {
  /// A configuration value is absent, of the wrong type or out of range.
  public static let configuration = Self(rawValue: "configuration")
  /// No known architecture or tensor layout fits.
  public static let unknownArchitecture = Self(rawValue: "unknownArchitecture")
  /// A shape or name fits more than one layout.
  public static let ambiguousLayout = Self(rawValue: "ambiguousLayout")
  /// A tensor has another shape than the configuration declares.
  public static let shapeMismatch = Self(rawValue: "shapeMismatch")
  /// A tensor has an element type that has no meaning where it stands.
  public static let typeMismatch = Self(rawValue: "typeMismatch")
  /// The same parameter is stored more than once.
  public static let duplicateParameter = Self(rawValue: "duplicateParameter")
  /// A tensor under the experts that nothing consumes.
  public static let unexpectedTensor = Self(rawValue: "unexpectedTensor")
  /// An argument of a call does not fit the layer.
  public static let invalidArgument = Self(rawValue: "invalidArgument")
  /// A stored value has no meaning, such as a bias that is not a number.
  public static let invalidValue = Self(rawValue: "invalidValue")
  /// The backend can't do what was asked for.
  public static let unsupportedByBackend = Self(rawValue: "unsupportedByBackend")
}
