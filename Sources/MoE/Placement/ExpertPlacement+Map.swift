// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Tensors

extension ExpertPlacement {
  /// A placement from the expert of each slot, as balancers and placement files give it.
  ///
  /// ```swift
  /// let placement = try ExpertPlacement(physicalToLogical: [1, 3, 2, 3, 1, 0], expertCount: 4, ranks: 3)
  /// placement.replicas[1]      // slots 0 and 4
  /// ```
  ///
  /// - Parameters:
  ///   - map: `[slots]`, rank after rank; slots divide over the ranks as in ``slots(of:)``.
  ///   - name: what the map is in messages, such as `layer 3`.
  /// - Throws: `invalidArgument` for slots that don't divide; `invalidValue` for empty slots (−1), ids that are no
  ///   experts and experts that stand in no slot: all of them at once.
  public init(physicalToLogical map: [Int], expertCount: Int, ranks: Int, name: String? = nil) throws(MoEError) {
    guard (1...1 << 24).contains(expertCount), (1...1 << 24).contains(ranks) else {
      throw MoEError(
        .invalidArgument, "no such placement", subject: name, expected: "at least 1 expert and 1 rank",
        found: "\(expertCount) experts, \(ranks) ranks")
    }
    var faults: [Fault] = []
    func require(_ bad: [Int], _ message: String, found: String? = nil, remedy: String? = nil) {
      guard !bad.isEmpty else { return }
      faults.append(
        Fault(.invalidValue, message, subject: name, found: found ?? Self.list(bad), remedy: remedy))
    }
    let empty = map.indices.filter { map[$0] == -1 }
    let foreign = map.indices.filter { map[$0] != -1 && !(0..<expertCount).contains(map[$0]) }
    let unowned = Set(0..<expertCount).subtracting(map).sorted()
    require(empty, "slots without an expert", remedy: "give every slot one, a replica if need be")
    require(
      foreign, "ids that are no experts of the layer, 0..<\(expertCount)",
      found: foreign.prefix(8).map { "\(map[$0]) in slot \($0)" }.joined(separator: ", ")
        + (foreign.count > 8 ? " and \(foreign.count - 8) more" : ""))
    require(unowned, "experts that stand in no slot")
    if var fault = Self.indivisible(expertCount: expertCount, redundant: map.count - expertCount, ranks: ranks) {
      fault.subject = name
      faults.append(fault)
    }
    guard faults.isEmpty else { throw MoEError(faults) }
    self.init(checked: map.map(LogicalExpert.init(rawValue:)), expertCount: expertCount, ranks: ranks)
  }

  /// The first of many numbers.
  private static func list(_ numbers: [Int]) -> String {
    numbers.prefix(16).map(String.init).joined(separator: ", ")
      + (numbers.count > 16 ? " and \(numbers.count - 16) more" : "")
  }
}
