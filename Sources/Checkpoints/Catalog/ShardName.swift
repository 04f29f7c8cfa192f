// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// The parts of a name like `model-00002-of-00005.safetensors`.
package struct ShardName: Hashable {
  var prefix: String
  var number: Int
  var total: Int
  /// Digits of the total, to write the names of the others.
  var width: Int

  init?(_ name: String) {
    guard let match = name.utf8.lastIndex(of: 0x2E), name[match...] == ".safetensors" else { return nil }
    let parts = name[..<match].split(separator: "-", omittingEmptySubsequences: false)
    guard
      parts.count >= 4, parts[parts.count - 2] == "of", let number = Self.number(parts[parts.count - 3]),
      let total = Self.number(parts[parts.count - 1])
    else { return nil }
    prefix = parts.dropLast(3).joined(separator: "-")
    self.number = number
    self.total = total
    width = parts[parts.count - 1].utf8.count
  }

  /// The name of another file of the set.
  func name(of number: Int) -> String {
    "\(prefix)-\(padded(number))-of-\(padded(total)).safetensors"
  }

  private func padded(_ number: Int) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
  }

  // Ten digits and more are no count of files; the limit keeps the loop over a set short.
  private static func number(_ text: Substring) -> Int? {
    guard !text.isEmpty, text.utf8.count <= 6, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
    return Int(text)
  }
}

extension ShardName {
  /// The names of a model's files: `model.safetensors`, or a set of so many.
  package static func modelFiles(_ count: Int) -> [String] {
    guard count > 1, let first = ShardName("model-00001-of-0000\(min(count, 9)).safetensors") else {
      return ["model.safetensors"]
    }
    var set = first
    set.total = count
    return (1...count).map(set.name)
  }

  /// The numbers of a set that `names` lacks, given that all of `names` are of one set.
  static func missing(of names: [ShardName]) -> [Int] {
    guard let first = names.first else { return [] }
    let present = Set(names.map(\.number))
    return first.total > 0 ? (1...first.total).filter { !present.contains($0) } : []
  }
}
