// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

extension CodedWeights {
  /// Some of the columns, in smaller groups: scales are repeated, nothing else changes.
  ///
  /// - Parameters:
  ///   - group: columns that share a scale in the result; no boundary of a group of the source may lie inside one.
  ///   - factorGroup: likewise for factors.
  func columns(_ range: Range<Int>, group newGroup: Int, factorGroup: Int?) -> Self {
    if range == 0..<columns, newGroup == group, factorGroup == factors?.group { return self }
    var result = self
    result.columns = range.count
    result.group = newGroup
    if range != 0..<columns {
      result.codes = []
      result.codes.reserveCapacity(rows * range.count)
      for row in 0..<rows {
        result.codes += codes[row * columns + range.lowerBound..<row * columns + range.upperBound]
      }
    }
    func regrouped(_ values: [Float], from group: Int, to newGroup: Int) -> [Float] {
      guard !values.isEmpty else { return [] }
      let (old, new) = (Self.count(columns, by: group), Self.count(range.count, by: newGroup))
      return (0..<rows).flatMap { row in
        (0..<new).map { values[row * old + (range.lowerBound + $0 * newGroup) / group] }
      }
    }
    result.scales = regrouped(scales, from: group, to: newGroup)
    switch correction {
    case .none: break
    case .zero(let values): result.correction = .zero(regrouped(values, from: group, to: newGroup))
    case .minimum(let values): result.correction = .minimum(regrouped(values, from: group, to: newGroup))
    }
    if let factors, let factorGroup {
      result.factors = Factors(
        group: factorGroup, scales: regrouped(factors.scales, from: factors.group, to: factorGroup),
        minimums: regrouped(factors.minimums, from: factors.group, to: factorGroup))
    }
    return result
  }

  /// Every row of `step`, from `first` on.
  func rows(from first: Int, step: Int) -> Self {
    guard step > 1 else { return self }
    func picked<Value>(_ values: [Value]) -> [Value] {
      let width = values.count / rows
      return stride(from: first, to: rows, by: step).flatMap { values[$0 * width..<($0 + 1) * width] }
    }
    var result = self
    result.codes = picked(codes)
    result.scales = picked(scales)
    switch correction {
    case .none: break
    case .zero(let values): result.correction = .zero(picked(values))
    case .minimum(let values): result.correction = .minimum(picked(values))
    }
    if let factors {
      result.factors = Factors(
        group: factors.group, scales: picked(factors.scales), minimums: picked(factors.minimums))
    }
    result.rows = (rows - first + step - 1) / step
    return result
  }
}
