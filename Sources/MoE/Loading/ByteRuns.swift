// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// Bytes of a tensor: `count` runs of `length` bytes, `stride` bytes from one to the next.
public struct ByteRuns: Sendable, Hashable {
  /// The first byte, from the start of the tensor.
  public var offset: Int
  public var length: Int
  public var stride: Int
  public var count: Int

  public init(offset: Int, length: Int, stride: Int = 0, count: Int = 1) {
    self.offset = offset
    self.length = length
    self.stride = stride
    self.count = count
  }

  /// Bytes in all runs.
  public var byteCount: Int { length * count }

  /// From the first byte to the last.
  public var span: Range<Int> { offset..<offset + (count - 1) * stride + length }

  /// The runs one by one.
  public var ranges: [Range<Int>] {
    (0..<count).map { offset + $0 * stride..<offset + $0 * stride + length }
  }
}

extension [ByteRuns] {
  public var byteCount: Int { reduce(0) { $0 + $1.byteCount } }

  /// The bytes of a box in a row-major array.
  ///
  /// - Parameters:
  ///   - shape: the extents of the array, in elements of `width` bytes.
  ///   - box: the elements of each axis, as ascending ranges that don't touch.
  ///   - offset: the first byte of the array.
  package static func box(_ box: [[Range<Int>]], of shape: [Int], width: Int, offset: Int) -> Self {
    // Axes after the last partial one belong to its runs.
    var length = width
    var axis = shape.count
    while axis > 0, box[axis - 1] == [0..<shape[axis - 1]] {
      axis -= 1
      length *= shape[axis]
    }
    guard axis > 0 else { return length > 0 ? [ByteRuns(offset: offset, length: length)] : [] }
    var runs = box[axis - 1].map {
      ByteRuns(offset: offset + $0.lowerBound * length, length: $0.count * length)
    }.filter { $0.length > 0 }
    var stride = length * shape[axis - 1]
    for outer in (0..<axis - 1).reversed() {
      runs = box[outer].flatMap { range -> [ByteRuns] in
        runs.flatMap { run -> [ByteRuns] in
          if run.count == 1 {
            var repeated = run
            repeated.offset += range.lowerBound * stride
            repeated.stride = stride
            repeated.count = range.count
            return range.isEmpty ? [] : [repeated]
          }
          return range.map { index in
            var moved = run
            moved.offset += index * stride
            return moved
          }
        }
      }
      stride *= shape[outer]
    }
    return runs
  }

}

extension [Range<Int>] {
  /// The same numbers as ascending ranges that neither overlap nor touch.
  package var united: Self {
    var result: Self = []
    for range in filter({ !$0.isEmpty }).sorted(by: { $0.lowerBound < $1.lowerBound }) {
      if let last = result.last, range.lowerBound <= last.upperBound {
        result[result.count - 1] = last.lowerBound..<Swift.max(last.upperBound, range.upperBound)
      } else {
        result.append(range)
      }
    }
    return result
  }
}
