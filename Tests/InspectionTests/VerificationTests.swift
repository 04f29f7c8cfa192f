// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import MoE
import MoEInspection
import TestSupport
import Testing

/// A damaged expert is found, and what happened to it; nothing is found where nothing is wrong.
@Suite struct VerificationTests {
  static let types = [
    "f16", "fp8-tensor", "fp8-channel", "fp8-block", "int8-channel", "int8-g32", "int4-g32", "int4-g32-asym", "mxfp4",
    "mxfp8", "nvfp4", "nf4",
  ]

  private static func verify(
    _ stored: VerificationCase, as type: String, _ layout: VerificationCase.Layout = .perExpert,
    against original: VerificationCase, _ verification: CheckpointVerification = CheckpointVerification()
  ) throws -> VerificationReport {
    let (first, second) = (try TemporaryFolder(), try TemporaryFolder())
    return try verification.run(
      on: stored.write(to: first, as: WeightType(parsing: type), layout),
      against: original.write(to: second, as: .bf16, layout))
  }

  @Test(arguments: types, VerificationCase.Weights.allCases)
  func undamaged(type: String, weights: VerificationCase.Weights) throws {
    let model = VerificationCase(weights)
    let report = try Self.verify(model, as: type, against: model)
    #expect(report.isFaithful, "\(report.suspects.map { "\($0.place) \($0.flags) \($0.excess ?? 0)" })")
    #expect(report.matrices.count == 3 * VerificationCase.experts && report.tensors.count == 1)
    #expect(report.matrices.allSatisfy { $0.expectedDecibels != nil && $0.distance != nil })
  }

  /// Formats and layouts of the stored checkpoint; the originals are plain, in the same layout where GGUF isn't stored.
  static let forms: [(type: String, layout: VerificationCase.Layout)] = [
    ("fp8-block", .perExpert), ("int4-g32", .perExpert), ("nvfp4", .perExpert), ("mxfp4", .fused),
    ("q4_k", .perExpert),
  ]

  /// The damaged matrices are flagged and no others, and the diagnosis is right, whatever the weights are.
  @Test(arguments: ExpertDamage.all.indices, forms.indices)
  func damaged(index: Int, form: Int) throws {
    let damage = ExpertDamage.all[index]
    let (type, layout) = Self.forms[form]
    // Blocks of q4_k have 256 columns; its encoder takes its time, so its weights are the same for all kinds of damage.
    let original =
      type == "q4_k"
      ? VerificationCase(.gaussian, hidden: 256, intermediate: 256, seed: 100)
      : VerificationCase(.gaussian, seed: UInt64(index % 3))
    var spoiled = original
    damage.spoil(&spoiled)
    let report = try Self.verify(spoiled, as: type, layout, against: original)
    let places = Set(report.suspects.map(\.place.expert))
    #expect(!report.isFaithful && places.contains(VerificationCase.victim), "\(damage)")
    #expect(places.subtracting([VerificationCase.victim]) == (damage.kind == .expertsExchanged ? [2] : []), "\(damage)")
    let kinds = Set(report.suspects.compactMap(\.diagnosis?.kind))
    #expect(kinds == [damage.kind], "\(damage): \(report.suspects.map { "\($0.summary) \($0.diagnosis?.text ?? "")" })")
  }

  /// Few rows that are 0 are told from noise where the format itself leaves more of it than they do.
  @Test func zeroRowsOfCoarseFormat() throws {
    let original = VerificationCase(.gaussian, hidden: 256, intermediate: 256, seed: 7)
    var spoiled = original
    for index in 512..<512 + 10 * 256 { spoiled.values[VerificationCase.victim][.up]![index] = 0 }
    let report = try Self.verify(spoiled, as: "q2_k", against: original)
    #expect(report.suspects.map(\.place.expert) == [VerificationCase.victim])
    #expect(report.suspects.first?.diagnosis?.text == "the weights of rows 2-11 are 0")
  }

  /// Both layers on the same tokens differ by what rounding the weights leaves.
  @Test(arguments: types)
  func outputs(type: String) throws {
    let model = VerificationCase(.gaussian)
    let report = try Self.verify(model, as: type, against: model, .init(inputs: .random(tokens: 24)))
    let outputs = try #require(report.outputs.first)
    #expect(report.isFaithful && report.outputs.count == 1 && outputs.tokens.count == 24, "\(outputs)")
    #expect(outputs.routedAlike == 24 && outputs.tokens.allSatisfy { $0.experts.count == 2 && $0.cosine > 0.9 })
    // The estimate is neither far below nor far above what is found.
    let excesses = outputs.tokens.map { $0.excess ?? .infinity }
    #expect(excesses.allSatisfy { type == "f16" ? $0 < 0 : abs($0) < 5 }, "\(excesses)")
  }

  /// Tokens that the damaged expert serves differ, and no others.
  @Test(arguments: ["fp8-block", "int4-g32", "nvfp4"])
  func damagedOutputs(type: String) throws {
    let original = VerificationCase(.gaussian)
    var spoiled = original
    spoiled.values[VerificationCase.victim][.down]!.negate()
    let report = try Self.verify(spoiled, as: type, against: original, .init(inputs: .random(tokens: 64)))
    let tokens = try #require(report.outputs.first).tokens
    let served = tokens.filter { $0.experts.contains(VerificationCase.victim) }
    #expect(!report.isFaithful && !served.isEmpty && served.count < tokens.count)
    #expect(served.count(where: \.isSuspect) > served.count / 2)
    #expect(tokens.allSatisfy { !$0.isSuspect || $0.experts.contains(VerificationCase.victim) })
  }

  @Test func givenInputs() throws {
    let model = VerificationCase(.gaussian)
    let hidden = (0..<3 * model.hidden).map { Float($0 % 7) - 3 }
    let report = try Self.verify(model, as: "bf16", against: model, .init(inputs: .given(hidden)))
    #expect(report.outputs.map(\.tokens.count) == [3] && report.outputs[0].relativeError == 0)
    let error = #expect(throws: MoEError.self) {
      try Self.verify(model, as: "bf16", against: model, .init(inputs: .given(Array(hidden.dropLast()))))
    }
    #expect(error?.description.contains("hidden states must be [tokens, 128]") == true)
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

extension [Float] {
  fileprivate mutating func negate() { self = map { -$0 } }
}
