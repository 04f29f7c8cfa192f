// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import MoE
internal import Tensors

/// Findings of one kind, for people: nobody reads the same sentence for each of 256 experts.
public struct FindingGroup: Sendable {
  public let findings: [Finding]

  /// - Precondition: there is one.
  public init(_ findings: [Finding]) {
    precondition(!findings.isEmpty, "a group of nothing")
    self.findings = findings
  }

  /// The one that stands for all.
  public var first: Finding { findings[0] }

  /// Where they are, for example `layers 3-5: experts 0-7,9, up`; empty where no place is known.
  public var places: String {
    var experts: [Int: Set<Int>] = [:]
    var others: Set<String> = []
    for place in findings.map(\.place) {
      guard let layer = place.layer else { continue }
      experts[layer, default: []].formUnion(place.expert.map { [$0] } ?? [])
      if place.isShared { others.insert("shared experts") }
    }
    let layers = Dictionary(grouping: experts.keys) { experts[$0]!.sorted().ranges }
      .sorted { $0.value.min()! < $1.value.min()! }
    let projections = Projection.allCases.filter { projection in
      findings.contains { $0.place.projections.contains(projection) }
    }
    let kinds = others.sorted() + (projections.isEmpty ? [] : [projections.map(\.rawValue).joined(separator: ", ")])
    return layers.map { numbers, layers in
      let name = (layers.count == 1 ? "layer " : "layers ") + layers.sorted().ranges
      return ([numbers.isEmpty ? name : "\(name): experts \(numbers)"] + kinds).joined(separator: ", ")
    }.joined(separator: "; ")
  }
}

extension CheckReport {
  /// The findings by kind, in the order of the first of each.
  public var groups: [FindingGroup] {
    struct Kind: Hashable {
      var severity: Finding.Severity
      var code: String
      var message: String
    }
    var order: [Kind] = []
    var members: [Kind: [Finding]] = [:]
    for finding in findings {
      let kind = Kind(
        severity: finding.severity, code: finding.fault.code.rawValue,
        message: finding.place.layer == nil ? finding.fault.message : Self.withoutNumbers(finding.fault.message))
      if members[kind] == nil { order.append(kind) }
      members[kind, default: []].append(finding)
    }
    return order.map { FindingGroup(members[$0]!) }
  }

  /// Messages that name experts are one kind.
  private static func withoutNumbers(_ message: String) -> String {
    String(decoding: message.utf8.filter { !(UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }, as: UTF8.self)
  }
}
