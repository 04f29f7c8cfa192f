// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import MoE
import Tensors

/// The arrangements of experts in checkpoints, written by hand: what the readers' table is held against.
enum StoredLayout: String, Sendable, CaseIterable {
  case perExpert, fusedOutputMajor, fusedInputMajor, interleavedInputMajor, interleavedOutputMajor, stacked, merged

  /// What a reader is told.
  var layout: ExpertLayout {
    let (gateUp, down) = ("{b}.experts.gate_up_proj", "{b}.experts.down_proj")
    return switch self {
    case .perExpert: .perExpert("{b}.experts.", gate: "gate_proj", up: "up_proj", down: "down_proj")
    case .fusedOutputMajor: .fused(gateUp: gateUp, down: down, isInputMajor: false)
    case .fusedInputMajor: .fused(gateUp: gateUp, down: down, isInputMajor: true)
    case .interleavedInputMajor: .fused(gateUp: gateUp, down: down, isInputMajor: true, isInterleaved: true)
    case .interleavedOutputMajor: .fused(gateUp: gateUp, down: down, isInputMajor: false, isInterleaved: true)
    case .stacked: .stacked(gate: "{b}.experts.gate", up: "{b}.experts.up", down: "{b}.experts.down")
    case .merged: .merged(gate: "{b}.experts.w1", up: "{b}.experts.v1", down: "{b}.experts.w2")
    }
  }

  /// Pieces that one expert is read in, without biases.
  var readsPerExpert: Int {
    switch self {
    case .perExpert, .stacked, .merged: 3
    default: 2
    }
  }

  /// Adds all experts of a layer.
  func add(_ experts: RandomExperts, to fixture: inout CheckpointFixture) {
    let (width, inner) = (experts.specification.hiddenSize, experts.specification.intermediateSize)
    let count = experts.specification.expertCount
    let type = experts.specification.elementType
    let prefix = "model.layers.0.mlp.experts."
    for role in experts.specification.roles {
      func all(_ projection: Projection) -> [[Float]] {
        experts.values.map { $0[RandomExperts.Key(projection: projection, role: role)]! }
      }
      let (gate, up, down) = (all(.gate), all(.up), all(.down))
      let columns = role == .bias ? [] : [width]
      let suffix = role == .bias ? "_bias" : ""
      let dotted = role == .bias ? ".bias" : ".weight"
      switch self {
      case .perExpert:
        for expert in 0..<count {
          fixture.add("\(prefix)\(expert).gate_proj\(dotted)", type, Shape([inner] + columns), gate[expert])
          fixture.add("\(prefix)\(expert).up_proj\(dotted)", type, Shape([inner] + columns), up[expert])
          fixture.add(
            "\(prefix)\(expert).down_proj\(dotted)", type, Shape(role == .bias ? [width] : [width, inner]), down[expert]
          )
        }
      case .stacked:
        fixture.add("\(prefix)gate\(dotted)", type, Shape([count, inner] + columns), gate.flatMap(\.self))
        fixture.add("\(prefix)up\(dotted)", type, Shape([count, inner] + columns), up.flatMap(\.self))
        fixture.add(
          "\(prefix)down\(dotted)", type, Shape(role == .bias ? [count, width] : [count, width, inner]),
          down.flatMap(\.self))
      case .merged:
        fixture.add("\(prefix)w1\(suffix)", type, Shape([count * inner] + columns), gate.flatMap(\.self))
        fixture.add("\(prefix)v1\(suffix)", type, Shape([count * inner] + columns), up.flatMap(\.self))
        fixture.add(
          "\(prefix)w2\(suffix)", type, Shape(role == .bias ? [count * width] : [count * inner, width]),
          down.flatMap { role == .bias ? $0 : Self.transposed($0, rows: width) })
      default:
        let isInputMajor = self == .fusedInputMajor || self == .interleavedInputMajor
        let isInterleaved = self == .interleavedInputMajor || self == .interleavedOutputMajor
        let fused = zip(gate, up).flatMap { gate, up -> [Float] in
          let rowCount = role == .bias ? 1 : width
          let rows =
            isInterleaved
            ? (0..<inner).flatMap { Self.row($0, of: gate, rowCount) + Self.row($0, of: up, rowCount) } : gate + up
          return isInputMajor && role == .weight ? Self.transposed(rows, rows: 2 * inner) : rows
        }
        let downs = down.flatMap { isInputMajor && role == .weight ? Self.transposed($0, rows: width) : $0 }
        let gateUpShape = role == .bias ? [2 * inner] : isInputMajor ? [width, 2 * inner] : [2 * inner, width]
        let downShape = role == .bias ? [width] : isInputMajor ? [inner, width] : [width, inner]
        fixture.add("\(prefix)gate_up_proj\(suffix)", type, Shape([count] + gateUpShape), fused)
        fixture.add("\(prefix)down_proj\(suffix)", type, Shape([count] + downShape), downs)
      }
    }
  }

  private static func row(_ index: Int, of matrix: [Float], _ columns: Int) -> ArraySlice<Float> {
    matrix[index * columns..<(index + 1) * columns]
  }

  static func transposed(_ matrix: [Float], rows: Int) -> [Float] {
    let columns = matrix.count / rows
    return (0..<columns).flatMap { column in (0..<rows).map { matrix[$0 * columns + column] } }
  }
}

extension StoredLayout {
  /// A checkpoint of one layer whose experts are stored so, and the registry that reads it.
  func checkpoint(_ experts: RandomExperts) -> (fixture: CheckpointFixture, registry: ArchitectureRegistry) {
    let specification = experts.specification
    var fixture = CheckpointFixture(configuration: [
      "model_type": "test", "num_hidden_layers": 1, "hidden_size": .integer(specification.hiddenSize),
      "moe_intermediate_size": .integer(specification.intermediateSize),
      "num_experts": .integer(specification.expertCount), "num_experts_per_tok": 1,
    ])
    let gate: Shape = [specification.expertCount, specification.hiddenSize]
    fixture.add("model.layers.0.mlp.gate.weight", .f32, gate, randomValues(gate.elementCount!, seed: 77))
    add(experts, to: &fixture)
    let layout = layout
    return (
      fixture, ArchitectureRegistry([Architecture("Test", types: ["test"], classes: []) { $0.layouts = [layout] }])
    )
  }
}
