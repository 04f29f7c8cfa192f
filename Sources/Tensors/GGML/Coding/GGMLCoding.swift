// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// How the blocks of a type come apart: a code for each weight, and scales for groups of neighbours.
///
/// A weight is `table[code] · scale − minimum`, multiplied and subtracted in this order in 32 bits. With two levels, the
/// scale of a group is `factor · scale` and its minimum `minimumFactor · minimum`, with small whole numbers for the
/// scales and minima of groups and one pair of factors for a block. Either way the result is that of `decode`, bit for
/// bit.
public struct GGMLCoding: Sendable, Hashable {
  /// Bits of a code.
  public let bits: Int
  /// The value of each code, `1 << bits` of them. Codes that no weight has are 0.
  public let table: [Float]
  /// Neighbours in a row that share a scale.
  public let group: Int
  /// Whether a minimum is taken away.
  public let hasMinimums: Bool
  /// Whether scales and minima are whole numbers below the factors of a block.
  public let isTwoLevel: Bool

  init(bits: Int, _ table: [Float], group: Int, hasMinimums: Bool = false, isTwoLevel: Bool = false) {
    self.bits = bits
    self.table = table + [Float](repeating: 0, count: 1 << bits - table.count)
    self.group = group
    self.hasMinimums = hasMinimums
    self.isTwoLevel = isTwoLevel
  }
}

/// One block of a type, taken apart. Made once and filled again for each block.
public struct GGMLBlockParts: Sendable, Hashable {
  /// One for each weight.
  public fileprivate(set) var codes: [UInt8]
  /// One for each group; NaN for the codes of scales that are no numbers (E8M0 255, E4M3 0x7F), to which ggml gives a
  /// value all the same.
  public fileprivate(set) var scales: [Float]
  /// One for each group; 0 where the type has none.
  public fileprivate(set) var minimums: [Float]
  /// Of the scales of a type with two levels, else 1.
  public fileprivate(set) var factor: Float = 1
  /// Of the minima of a type with two levels, else 1.
  public fileprivate(set) var minimumFactor: Float = 1

  /// Room for a block of a type; nil for plain elements, which have no codes.
  public init?(_ type: GGMLType) {
    guard let coding = type.coding else { return nil }
    codes = Array(repeating: 0, count: type.blockElements)
    scales = Array(repeating: 0, count: type.blockElements / coding.group)
    minimums = scales
  }
}

extension GGMLType {
  /// How the blocks of this type come apart; nil for plain elements.
  public var coding: GGMLCoding? { (format as? any CodedFormat.Type)?.coding }

  /// Takes a block apart.
  ///
  /// - Parameters:
  ///   - bytes: Whole blocks, end to end.
  ///   - block: The index of the block.
  ///   - parts: Made for this type.
  /// - Precondition: The block is in `bytes`.
  public func split(_ bytes: [UInt8], block: Int, into parts: inout GGMLBlockParts) {
    precondition(block >= 0 && block < bytes.count / blockBytes, "block \(block) is outside the bytes")
    guard let format = format as? any CodedFormat.Type else { preconditionFailure("\(self) has no blocks") }
    unsafe bytes.withUnsafeBytes { source in
      format.split(unsafe BlockBytes(source.baseAddress! + block * blockBytes), into: &parts)
    }
  }
}

extension GGMLType {
  /// The blocks with a scale or a minimum that is no finite number, in ascending order; none for plain elements.
  ///
  /// - Precondition: `bytes` holds whole blocks.
  public func blocksWithWrongScales(_ bytes: [UInt8]) -> [Int] {
    precondition(bytes.count % blockBytes == 0, "\(bytes.count) bytes are no whole number of \(self) blocks")
    guard let format = format as? any CodedFormat.Type, !bytes.isEmpty else { return [] }
    return unsafe bytes.withUnsafeBytes { source in
      unsafe format.blocksWithWrongScales(source.baseAddress!, count: source.count / blockBytes)
    }
  }

  /// Whether a scale or a minimum of a block is no finite number.
  ///
  /// - Precondition: The block is in `bytes`.
  public func hasWrongScale(_ bytes: [UInt8], block: Int) -> Bool {
    !blocksWithWrongScales(Array(bytes[block * blockBytes..<(block + 1) * blockBytes])).isEmpty
  }
}

/// A block type whose weights are values of a small table times the scale of a group.
protocol CodedFormat: BlockFormat {
  static var coding: GGMLCoding { get }
  static func code(_ block: BlockBytes, _ element: Int) -> UInt8
  static func scale(_ block: BlockBytes, _ group: Int) -> Float
  static func minimum(_ block: BlockBytes, _ group: Int) -> Float
  static func factors(_ block: BlockBytes) -> (scale: Float, minimum: Float)
  /// A requirement, so that each format has a loop with its code inlined.
  static func split(_ block: BlockBytes, into parts: inout GGMLBlockParts)
  /// A requirement for the same reason.
  static func blocksWithWrongScales(_ source: UnsafeRawPointer, count: Int) -> [Int]
}

extension CodedFormat {
  static func minimum(_ block: BlockBytes, _ group: Int) -> Float { 0 }

  static func factors(_ block: BlockBytes) -> (scale: Float, minimum: Float) { (1, 1) }

  @inline(__always)
  static func split(_ block: BlockBytes, into parts: inout GGMLBlockParts) {
    for element in 0..<elements { parts.codes[element] = code(block, element) }
    for group in parts.scales.indices {
      parts.scales[group] = scale(block, group)
      parts.minimums[group] = minimum(block, group)
    }
    (parts.factor, parts.minimumFactor) = factors(block)
  }

  @inline(__always)
  static func blocksWithWrongScales(_ source: UnsafeRawPointer, count: Int) -> [Int] {
    let groups = elements / coding.group
    return (0..<count).filter { index in
      let block = unsafe BlockBytes(source + index * bytes)
      let (factor, minimumFactor) = factors(block)
      // 0 times a finite number is 0, and times any other is NaN.
      var sum = factor * 0 + minimumFactor * 0
      for group in 0..<groups { sum += scale(block, group) * 0 + minimum(block, group) * 0 }
      return !(sum == 0)
    }
  }
}

extension BlockBytes {
  /// A 4-bit code of those that `forEachNibble` reads.
  @inline(__always)
  func halfCode(at offset: Int, count: Int, _ element: Int) -> UInt8 {
    self[offset + element % count] >> UInt8(element / count * 4) & 15
  }
}

extension GGMLCoding {
  /// Whole numbers from `first` on.
  static func integers(
    bits: Int, from first: Int = 0, group: Int, hasMinimums: Bool = false, isTwoLevel: Bool = false
  ) -> Self {
    Self(
      bits: bits, (0..<1 << bits).map { Float($0 + first) }, group: group, hasMinimums: hasMinimums,
      isTwoLevel: isTwoLevel)
  }

  /// Magnitudes, and above them their negatives.
  static func signed(bits: Int, _ magnitudes: [Float], group: Int) -> Self {
    let half = magnitudes + [Float](repeating: 0, count: 1 << (bits - 1) - magnitudes.count)
    return Self(bits: bits, half + half.map { 0 - $0 }, group: group, isTwoLevel: true)
  }
}
