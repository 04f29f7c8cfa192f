// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// One thing that is wrong with an input: what, where, what was expected and found, and what would work.
///
/// Every error of this package is a list of faults, so that a bad checkpoint is reported whole and not fault by fault.
public struct Fault: Sendable, Hashable {
  /// The kind of a fault, for programs that react to it. Open: a later version may bring more.
  public struct Code: RawRepresentable, Sendable, Hashable {
    public let rawValue: String
    public init(rawValue: String) { self.rawValue = rawValue }
  }

  public var code: Code
  /// What is wrong, as a clause without a full stop.
  public var message: String
  /// The file it is in.
  public var file: String?
  /// The tensor, configuration key or option it concerns.
  public var subject: String?
  public var expected: String?
  public var found: String?
  /// What the user can do about it.
  public var remedy: String?

  public init(
    _ code: Code, _ message: String, file: String? = nil, subject: String? = nil, expected: String? = nil,
    found: String? = nil, remedy: String? = nil
  ) {
    self.code = code
    self.message = message
    self.file = file
    self.subject = subject
    self.expected = expected
    self.found = found
    self.remedy = remedy
  }
}

extension Fault: CustomStringConvertible {
  /// `file: subject: message: expected …, found …; remedy`, without the parts that are absent.
  public var description: String {
    var text = [file, subject, message].compactMap(\.self).joined(separator: ": ")
    let comparison = [expected.map { "expected \($0)" }, found.map { "found \($0)" }].compactMap(\.self)
    if !comparison.isEmpty { text += ": " + comparison.joined(separator: ", ") }
    if let remedy { text += "; " + remedy }
    return text
  }
}
