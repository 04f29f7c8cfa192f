// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// Weights to be encoded, `[out, in]`: finite, and as many as the sizes say.
public struct WeightMatrix: Sendable {
  /// *out*
  public let rows: Int
  /// *in*
  public let columns: Int
  /// Row after row.
  public let values: [Float]

  init(_ values: [Float], rows: Int, columns: Int) {
    (self.values, self.rows, self.columns) = (values, rows, columns)
  }

  /// The weights that share a scale, in the order of the scales.
  func groups(_ granularity: Granularity) -> WeightGroups { WeightGroups(granularity, rows: rows, columns: columns) }
}

/// The weights that share a scale: runs of `length`, at a distance of `stride`.
struct WeightGroup {
  var start: Int
  var count: Int
  var length: Int
  var stride: Int

  /// The places of a run.
  @inline(__always)
  func run(_ index: Int) -> Range<Int> {
    let first = start + index * stride
    return first..<first + length
  }
}

/// All groups of a matrix, row after row of scales; those at the edges may be smaller.
struct WeightGroups: RandomAccessCollection {
  private let rows: Int
  private let columns: Int
  private let height: Int
  private let width: Int
  private let perRow: Int
  let startIndex = 0
  let endIndex: Int

  init(_ granularity: Granularity, rows: Int, columns: Int) {
    // A flat block has nothing to do with rows: the matrix is a single one.
    let isFlat = if case .flat = granularity { true } else { false }
    (self.rows, self.columns) = isFlat ? (1, rows * columns) : (rows, columns)
    switch granularity {
    case .tensor: (height, width) = (rows, columns)
    case .channel: (height, width) = (1, columns)
    case .group(let size), .flat(let size): (height, width) = (1, size)
    case .block(let height, let width): (self.height, self.width) = (height, width)
    }
    perRow = self.columns == 0 ? 1 : (self.columns - 1) / width + 1
    // A scale of the whole is there whatever the whole is.
    let isEmpty = rows == 0 || columns == 0
    endIndex = granularity == .tensor ? 1 : isEmpty ? 0 : ((self.rows - 1) / height + 1) * perRow
  }

  subscript(index: Int) -> WeightGroup {
    let (row, column) = index.quotientAndRemainder(dividingBy: perRow)
    let (top, left) = (row * height, column * width)
    let (count, length) = (Swift.min(height, rows - top), Swift.min(width, columns - left))
    // Whole rows are one run.
    return length == columns
      ? WeightGroup(start: top * columns, count: 1, length: count * columns, stride: 0)
      : WeightGroup(start: top * columns + left, count: count, length: length, stride: columns)
  }
}

extension WeightMatrix {
  /// The greatest magnitude of a group.
  func greatestMagnitude(_ group: WeightGroup) -> Float {
    // Without their sign, floats are in the order of their bits, which the compiler compares many at a time.
    var greatest: Int32 = 0
    for index in 0..<group.count {
      let run = values.span.extracting(group.run(index))
      greatest = unsafe run.withUnsafeBufferPointer { values in
        var greatest = greatest
        for index in 0..<values.count {
          greatest = max(greatest, unsafe Int32(truncatingIfNeeded: values[index].bitPattern & 0x7FFF_FFFF))
        }
        return greatest
      }
    }
    return Float(bitPattern: UInt32(greatest))
  }

  /// The least and the greatest value of a group, and 0.
  func extremes(_ group: WeightGroup) -> (least: Float, greatest: Float) {
    var (least, greatest): (Float, Float) = (0, 0)
    for index in 0..<group.count {
      for place in group.run(index) {
        let value = values[place]
        least = value < least ? value : least
        greatest = value > greatest ? value : greatest
      }
    }
    return (least, greatest)
  }

  /// Whether `holds` every weight of a group. For most groups that are not made of codes, the first says no.
  @inline(__always)
  func allSatisfy(_ group: WeightGroup, _ holds: (Float) -> Bool) -> Bool {
    for index in 0..<group.count {
      for place in group.run(index) where !holds(values[place]) { return false }
    }
    return true
  }
}
