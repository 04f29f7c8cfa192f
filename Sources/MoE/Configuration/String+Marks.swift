// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// Tensor names are searched a million times for a large checkpoint, so this works on bytes.
extension String {
  /// The first place of an ASCII text.
  func place(of text: StaticString) -> Range<Index>? {
    let wanted = unsafe UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
    var copy = self
    let offset = copy.withUTF8 { bytes -> Int? in
      guard bytes.count >= wanted.count else { return nil }
      return (0...bytes.count - wanted.count).first { start in
        unsafe bytes[start] == wanted[0]
          && bytes[start..<start + wanted.count].elementsEqual(wanted)
      }
    }
    guard let offset else { return nil }
    let start = utf8.index(utf8.startIndex, offsetBy: offset)
    return start..<utf8.index(start, offsetBy: text.utf8CodeUnitCount)
  }

  /// The name with `{b}` replaced by the block.
  func inBlock(_ block: String) -> String {
    guard let mark = place(of: "{b}") else { return self }
    return self[..<mark.lowerBound] + block + self[mark.upperBound...]
  }
}
