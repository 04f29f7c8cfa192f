// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import MoE
import MoEInspection

/// Something that happens to an expert between a checkpoint and its copy.
struct ExpertDamage: Sendable, CustomStringConvertible {
  var description: String
  /// What a diagnosis should say.
  var kind: Diagnosis.Kind
  var spoil: @Sendable (inout VerificationCase) -> Void

  private init(
    _ description: String, _ kind: Diagnosis.Kind, _ spoil: @escaping @Sendable (inout VerificationCase) -> Void
  ) {
    (self.description, self.kind, self.spoil) = (description, kind, spoil)
  }

  /// Of one projection of the victim: rows, columns, weights.
  private static func of(
    _ projection: Projection, _ description: String, _ kind: Diagnosis.Kind,
    _ change: @escaping @Sendable (Int, Int, [Float]) -> [Float]
  ) -> Self {
    Self(description, kind) { model in
      let (rows, columns) = (model.rows(projection), model.columns(projection))
      let weights = model.values[VerificationCase.victim][projection]!
      model.values[VerificationCase.victim][projection] = change(rows, columns, weights)
    }
  }

  static let all: [Self] = [
    Self("gate and up exchanged", .gateUpExchanged) { model in
      let victim = VerificationCase.victim
      (model.values[victim][.gate], model.values[victim][.up]) = (
        model.values[victim][.up], model.values[victim][.gate]
      )
    },
    Self("two experts exchanged", .expertsExchanged) { $0.values.swapAt(VerificationCase.victim, 2) },
    Self("a stale copy of another expert", .copy) { $0.values[VerificationCase.victim] = $0.values[2] },
    of(.down, "transposed", .transposed) { rows, columns, weights in
      (0..<columns).flatMap { column in (0..<rows).map { weights[$0 * columns + column] } }
    },
    of(.up, "scale doubled", .factor) { _, _, weights in weights.map { $0 * 2 } },
    of(.gate, "scale divided by 16", .factor) { _, _, weights in weights.map { $0 / 16 } },
    of(.up, "sign turned", .factor) { _, _, weights in weights.map { -$0 } },
    of(.up, "nibbles exchanged", .nibbleOrder) { _, _, weights in weights.indices.map { weights[$0 ^ 1] } },
    of(.gate, "zero", .zero) { _, _, weights in weights.map { _ in 0 } },
    of(.up, "half of the rows never loaded", .zero) { _, _, weights in
      weights.indices.map { $0 < weights.count / 2 ? weights[$0] : 0 }
    },
    of(.down, "shards exchanged", .order) { _, _, weights in
      Array(weights[(weights.count / 2)...] + weights[..<(weights.count / 2)])
    },
    of(.gate, "columns rotated by one group", .order) { _, columns, weights in
      weights.indices.map { weights[$0 / columns * columns + ($0 % columns + 32) % columns] }
    },
    of(.up, "scales of rows moved", .factors) { _, columns, weights in
      weights.indices.map { weights[$0] * (0.5 + Float($0 / columns * 7 % 11) / 8) }
    },
    of(.down, "scales of groups moved", .factors) { _, columns, weights in
      weights.indices.map { weights[$0] * (0.5 + Float($0 / 32 * 5 % 13) / 8) }
    },
    of(.up, "zero points off", .offset) { _, _, weights in weights.map { $0 + 0.03 } },
    of(.down, "a bit of an exponent turned", .fewWeights) { _, _, weights in
      var weights = weights
      weights[4321] *= 4096
      return weights
    },
    Self("gate and up rows mixed", .order) { model in
      let (victim, columns) = (VerificationCase.victim, model.hidden)
      let both = model.values[victim][.gate]! + model.values[victim][.up]!
      let rows = 2 * model.intermediate
      let mixed = (0..<rows).flatMap { row -> ArraySlice<Float> in
        let source = row % 2 * (rows / 2) + row / 2
        return both[source * columns..<(source + 1) * columns]
      }
      model.values[victim][.gate] = Array(mixed[..<(mixed.count / 2)])
      model.values[victim][.up] = Array(mixed[(mixed.count / 2)...])
    },
    of(.down, "rounded to two bits first", .noise) { _, _, weights in
      weights.map { ($0 / 0.02).rounded() * 0.02 }
    },
  ]
}
