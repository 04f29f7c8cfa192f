// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Checkpoints
internal import Tensors

extension Communicator where Buffer == HostBuffer {
  /// Does on every rank what may fail on some, and fails on all if it does.
  ///
  /// - Throws: on all ranks the faults of all, with the ranks that they are of.
  public func together<Value>(_ body: () throws -> Value) throws(MoEError) -> Value {
    var value: Value?
    var own: [Fault] = []
    do {
      value = try body()
    } catch {
      own =
        (error as? MoEError)?.faults ?? (error as? CheckpointError)?.faults
        ?? [Fault(.communication, "\(error)")]
    }
    let texts = try allGather(Array(JSONValue.array(own.map(\.object)).serialized().utf8))
    var ranks: [Fault: [Int]] = [:]
    var order: [Fault] = []
    for (rank, text) in texts.enumerated() {
      for fault in Fault.list(parsing: text) {
        if ranks[fault] == nil { order.append(fault) }
        ranks[fault, default: []].append(worldRanks[rank])
      }
    }
    guard order.isEmpty else {
      throw MoEError(
        order.map { fault in
          var named = fault
          if ranks[fault]!.count < size { named.message = "on \(rankList(ranks[fault]!)): " + fault.message }
          return named
        })
    }
    return value!
  }

  /// Checks that all ranks were started with the same things.
  ///
  /// - Parameter values: what must be equal, by name, in the same order on all ranks.
  /// - Throws: `differingRanks` on all ranks, with the ranks that have each value of each thing that differs.
  public func requireEqual(_ values: [(name: String, value: String)]) throws(MoEError) {
    let all = try allGather(Array(values.map { "\($0.name)\u{1F}\($0.value)" }.joined(separator: "\u{1E}").utf8))
      .map { String(decoding: $0, as: UTF8.self).split(separator: "\u{1E}", omittingEmptySubsequences: false) }
    var faults: [Fault] = []
    for (index, (name, _)) in values.enumerated() {
      var ranks: [(value: Substring, ranks: [Int])] = []
      for (rank, lines) in all.enumerated() {
        let value = index < lines.count ? lines[index].split(separator: "\u{1F}").last ?? "" : "nothing"
        if let found = ranks.firstIndex(where: { $0.value == value }) {
          ranks[found].ranks.append(worldRanks[rank])
        } else {
          ranks.append((value, [worldRanks[rank]]))
        }
      }
      guard ranks.count > 1 else { continue }
      faults.append(
        Fault(
          .differingRanks, "ranks were started with different things", subject: name, expected: "the same on all ranks",
          found: ranks.map { "\($0.value) on \(rankList($0.ranks))" }.joined(separator: ", ")))
    }
    guard faults.isEmpty else { throw MoEError(faults) }
  }
}

/// "rank 3", "ranks 0, 2"
func rankList(_ ranks: [Int]) -> String {
  (ranks.count == 1 ? "rank " : "ranks ") + ranks.map(String.init).joined(separator: ", ")
}

extension Fault {
  fileprivate static let textFields: [(key: String, path: any WritableKeyPath<Self, String?> & Sendable)] = [
    ("file", \.file), ("subject", \.subject), ("expected", \.expected), ("found", \.found), ("remedy", \.remedy),
  ]

  fileprivate var object: JSONValue {
    var object: [String: JSONValue] = ["code": .string(code.rawValue), "message": .string(message)]
    for (key, path) in Self.textFields { object[key] = self[keyPath: path].map { .string($0) } }
    return .object(object)
  }

  /// What ``object`` of another rank says.
  fileprivate static func list(parsing text: [UInt8]) -> [Self] {
    let list = try? JSONValue(parsing: text, file: "the faults of a rank")
    return (list?.array ?? []).map { object in
      var fault = Self(Code(rawValue: object["code"]?.string ?? ""), object["message"]?.string ?? "")
      for (key, path) in textFields { fault[keyPath: path] = object[key]?.string }
      return fault
    }
  }
}
