// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// What the machine code of kernels says about itself: an ELF file, whose section `.nv.info` holds what each kernel needs.
package struct Cubin {
  /// What a kernel needs of a multiprocessor.
  package struct Resources: Hashable {
    /// Of a thread.
    package var registers = 0
    /// Bytes of a thread's stack: arrays that are indexed at run time, and registers that were spilt.
    package var stack = 0
  }

  /// By the name of the kernel.
  package private(set) var kernels: [String: Resources] = [:]

  /// - Returns: nil for what is no cubin.
  package init?(_ bytes: [UInt8]) {
    guard Self.isWhole(bytes) else { return nil }
    let file = Reader(bytes: bytes)
    let sections = file.sections
    guard let symbols = sections.first(where: { $0.type == 2 }), symbols.link < sections.count else { return nil }
    // Values by attribute and symbol.
    var attributes: [Int: [Int: Int]] = [:]
    for section in sections where section.type != 8 && file.name(of: section, in: sections) == ".nv.info" {
      var place = section.offset
      while place + 4 <= section.offset + section.size {
        let (format, attribute, size) = (file.number(place, 1), file.number(place + 1, 1), file.number(place + 2, 2))
        if format == 4, size == 8 {
          attributes[attribute, default: [:]][file.number(place + 4, 4)] = file.number(place + 8, 4)
        }
        place += format == 4 ? 4 + size : 4
      }
    }
    for (symbol, registers) in attributes[Self.registerCount] ?? [:] {
      let entry = symbols.offset + symbol * 24
      guard entry + 24 <= bytes.count else { return nil }
      let name = file.text(sections[symbols.link].offset + file.number(entry, 4))
      kernels[name] = Resources(registers: registers, stack: attributes[Self.leastStack]?[symbol] ?? 0)
    }
  }

  private static let (registerCount, leastStack) = (0x2f, 0x12)

  /// Whether it is an ELF file with all its sections.
  static func isWhole(_ bytes: [UInt8]) -> Bool {
    guard bytes.count >= 64, bytes.starts(with: [0x7f, 0x45, 0x4c, 0x46, 2, 1]) else { return false }
    let file = Reader(bytes: bytes)
    guard file.tableOffset > 0, file.tableOffset + 64 * file.count <= bytes.count else { return false }
    // What takes no room in the file (type 8) may lie anywhere.
    return file.sections.allSatisfy { $0.type == 8 || $0.offset + $0.size <= bytes.count }
  }
}

/// The parts of the ELF format that are used, little-endian and of 64 bits.
private struct Reader {
  let bytes: [UInt8]

  struct Section {
    var nameOffset, type, offset, size, link: Int
  }

  func number(_ place: Int, _ width: Int) -> Int {
    guard place >= 0, place + width <= bytes.count else { return 0 }
    let value = (0..<width).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64(bytes[place + $1]) }
    return Int(truncatingIfNeeded: value & 0x0fff_ffff_ffff_ffff)
  }

  var tableOffset: Int { number(40, 8) }
  var count: Int { number(60, 2) }

  var sections: [Section] {
    (0..<count).map { index in
      let place = tableOffset + 64 * index
      return Section(
        nameOffset: number(place, 4), type: number(place + 4, 4), offset: number(place + 24, 8),
        size: number(place + 32, 8), link: number(place + 40, 4))
    }
  }

  func text(_ place: Int) -> String {
    guard place < bytes.count else { return "" }
    return String(decoding: bytes[place...].prefix { $0 != 0 }, as: UTF8.self)
  }

  func name(of section: Section, in sections: [Section]) -> String {
    let names = number(62, 2)
    return names < sections.count ? text(sections[names].offset + section.nameOffset) : ""
  }
}
