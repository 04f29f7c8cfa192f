// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// An entry of an ignore list or of a list of targets: it names modules.
///
/// - `re:…`: a regular expression that matches from the start of the name (compressed-tensors, AutoRound);
/// - with `*` or `?`: a wildcard that matches the whole name (ModelOpt, gpt-oss);
/// - else the name, or a run of its components: `lm_head`, `model.layers.0`, `mlp.gate` match what lies below them,
///   but `gate` does not match `gate_proj`.
public struct ModulePattern: Sendable, Hashable {
  public let text: String

  /// - Throws: `.configuration` for a regular expression that is none.
  public init(_ text: String, file: String? = nil) throws(MoEError) {
    self.text = text
    guard let expression = Self.expression(text) else { return }
    do {
      _ = try Regex(expression)
    } catch {
      throw MoEError(
        .configuration, "not a regular expression", file: file, subject: text, expected: "re: and an expression",
        found: "\(error)")
    }
  }

  private static func expression(_ text: String) -> String? {
    text.hasPrefix("re:") ? String(text.dropFirst(3)) : nil
  }

  public var isExpression: Bool { text.hasPrefix("re:") }

  /// Whether the module of this name is meant.
  public func matches(_ module: String) -> Bool {
    if let expression = Self.expression(text) {
      guard let regex = try? Regex(expression) else { return false }
      return (try? regex.prefixMatch(in: module)) != nil
    }
    if text.contains("*") || text.contains("?") {
      return Self.matches(Array(text.utf8)[...], Array(module.utf8)[...])
    }
    return Self.isRun(text.split(separator: "."), of: module.split(separator: "."))
  }

  private static func isRun(_ run: [Substring], of components: [Substring]) -> Bool {
    guard !run.isEmpty, run.count <= components.count else { return false }
    return (0...components.count - run.count).contains { start in
      components[start..<start + run.count].elementsEqual(run)
    }
  }

  /// A wildcard against a text: `*` any run, `?` any one byte. The steps are at most the product of the lengths.
  private static func matches(_ pattern: ArraySlice<UInt8>, _ text: ArraySlice<UInt8>) -> Bool {
    var (at, position) = (pattern.startIndex, text.startIndex)
    var star: (pattern: Int, text: Int)?
    while position < text.endIndex {
      if at < pattern.endIndex, pattern[at] == 0x2A {
        star = (at + 1, position)
        at += 1
      } else if at < pattern.endIndex, pattern[at] == 0x3F || pattern[at] == text[position] {
        at += 1
        position += 1
      } else if let last = star {
        star = (last.pattern, last.text + 1)
        (at, position) = (last.pattern, last.text + 1)
      } else {
        return false
      }
    }
    return pattern[at...].allSatisfy { $0 == 0x2A }
  }
}

extension ModulePattern: CustomStringConvertible {
  public var description: String { text }
}
