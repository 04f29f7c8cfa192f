// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import MoE
import MoEInspection
import Testing

/// A damaged expert is found, and what happened to it; nothing is found where nothing is wrong.
@Suite struct VerificationTests {
  static let types = [
    "f16", "fp8-tensor", "fp8-channel", "fp8-block", "int8-channel", "int8-g32", "int4-g32", "int4-g32-asym", "mxfp4",
    "mxfp8", "nvfp4", "nf4",
  ]

  private static func verify(
    _ stored: VerificationCase, as type: String, against original: VerificationCase,
    _ verification: CheckpointVerification = CheckpointVerification()
  ) throws -> VerificationReport {
    let (first, second) = (try TemporaryFolder(), try TemporaryFolder())
    try stored.write(to: first, as: WeightType(parsing: type))
    try original.write(to: second, as: .bf16)
    return try verification.run(on: first.path, against: second.path)
  }

  @Test(arguments: types, VerificationCase.Weights.allCases)
  func undamaged(type: String, weights: VerificationCase.Weights) throws {
    let model = VerificationCase(weights)
    let report = try Self.verify(model, as: type, against: model)
    #expect(report.isFaithful, "\(report.suspects.map { "\($0.place) \($0.flags) \($0.excess ?? 0)" })")
    #expect(report.matrices.count == 3 * VerificationCase.experts && report.tensors.count == 1)
    #expect(report.matrices.allSatisfy { $0.expectedDecibels != nil && $0.distance != nil })
  }

  @Test(arguments: ExpertDamage.all.indices, ["fp8-block", "int4-g32", "nvfp4"])
  func damaged(index: Int, type: String) throws {
    let damage = ExpertDamage.all[index]
    let original = VerificationCase(.gaussian)
    var spoiled = original
    damage.spoil(&spoiled)
    let report = try Self.verify(spoiled, as: type, against: original)
    let places = Set(report.suspects.map(\.place.expert))
    #expect(!report.isFaithful && places.contains(VerificationCase.victim), "\(damage)")
    #expect(places.subtracting([VerificationCase.victim]) == (damage.kind == .expertsExchanged ? [2] : []), "\(damage)")
    let kinds = Set(report.suspects.compactMap(\.diagnosis?.kind))
    #expect(kinds == [damage.kind], "\(damage): \(report.suspects.map { "\($0.summary) \($0.diagnosis?.text ?? "")" })")
  }

  /// The numbers are what plain loops over the weights give.
  @Test func numbers() throws {
    let original = VerificationCase(.heavyTailed)
    var spoiled = original
    spoiled.values[3][.up]![777] += 0.5
    let report = try Self.verify(spoiled, as: "f32", against: original)
    let matrix = try #require(report.suspects.first)
    #expect(report.suspects.count == 1 && matrix.place == .init(layer: 0, expert: 3, projections: [.up]))
    #expect(matrix.greatest.row == 777 / 128 && matrix.greatest.column == 777 % 128)
    #expect(matrix.greatest.magnitude == 0.5 && matrix.diagnosis?.kind == .fewWeights)
    let square = original.values[3][.up]!.reduce(0.0) { $0 + Double($1) * Double($1) }
    #expect(abs(matrix.relativeError - 0.5 / square.squareRoot()) < 1e-6)
    let product = zip(original.values[3][.up]!, spoiled.values[3][.up]!).reduce(0.0) {
      $0 + Double($1.0) * Double($1.1)
    }
    let cosine = product / (square * matrix.squares.stored).squareRoot()
    #expect(abs(matrix.cosine - cosine) < 1e-6)
    #expect(report.matrices.count { $0.isEqual } == 3 * VerificationCase.experts - 1)
  }

  @Test func exactness() throws {
    let model = VerificationCase(.gaussian)
    let exact = CheckpointVerification(requirement: .steps(0))
    #expect(try Self.verify(model, as: "bf16", against: model, exact).isFaithful)
    var other = model
    // The next number of bf16.
    let value = other.values[1][.down]![9]
    other.values[1][.down]![9] = Float(bitPattern: value.bitPattern + 0x10000)
    let report = try Self.verify(other, as: "bf16", against: model, exact)
    #expect(report.suspects.map(\.flags) == [[.exactness]])
    #expect(try Self.verify(other, as: "bf16", against: model).isFaithful)
    #expect(try Self.verify(other, as: "bf16", against: model, .init(requirement: .steps(1))).isFaithful)
    #expect(try !Self.verify(model, as: "nf4", against: model, .init(requirement: .steps(1))).isFaithful)
  }

  @Test func selections() throws {
    let model = VerificationCase(.gaussian)
    let report = try Self.verify(model, as: "bf16", against: model, .init(experts: [2, 4]))
    #expect(Set(report.matrices.compactMap(\.place.expert)) == [2, 4])
    #expect(throws: MoEError.self) { try Self.verify(model, as: "bf16", against: model, .init(experts: [99])) }
  }
}
