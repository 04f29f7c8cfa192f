// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import MoE
public import Tensors

/// How the output of a layer differs from the original's on the same input, token by token.
///
/// Both layers get the routing of the original, so that a near tie that falls the other way is not taken for damage; whether
/// the stored router would have chosen the same experts is said beside it.
public struct OutputVerification: Sendable {
  /// The layer's number.
  public var layer: Int
  public var tokens: [Token]
  /// Why the stored layer could not be run; then there are no tokens.
  public var faults: [Fault] = []

  public struct Token: Sendable {
    /// What the original's router chose.
    public var experts: [Int]
    /// Whether the stored router chooses the same.
    public var isRoutedAlike: Bool
    /// ‖a − b‖ / ‖a‖ of the block's output.
    public var relativeError: Double
    /// Of the angle between both outputs.
    public var cosine: Double
    /// The noise of the experts' output over that which rounding their weights leaves, in dB; of the routed or of the shared
    /// experts, whichever is more. nil where a format doesn't tell.
    public var excess: Double?

    /// Whether it is no number, or has more noise than rounding the weights leaves.
    public var isSuspect: Bool {
      !relativeError.isFinite || excess.map { !($0 <= MatrixVerification.formatMargin) } ?? false
    }
  }

  public var isFaithful: Bool { faults.isEmpty && !tokens.contains(where: \.isSuspect) }

  /// The token whose output is farthest off.
  public var worst: Int? {
    tokens.indices.max { tokens[$0].distance < tokens[$1].distance }
  }

  /// The root of the mean square of the tokens' errors.
  public var relativeError: Double {
    let squares = tokens.reduce(0) { $0 + $1.relativeError * $1.relativeError }
    return (squares / Double(max(1, tokens.count))).squareRoot()
  }

  public var routedAlike: Int { tokens.count(where: \.isRoutedAlike) }
}

extension OutputVerification.Token {
  fileprivate var distance: Double { relativeError.isFinite ? relativeError : .infinity }
}

/// Runs the layers of both checkpoints on the same input, one after the other: memory holds one layer at a time.
struct OutputComparer {
  let pair: VerificationPair
  let inputs: CheckpointVerification.Inputs
  let backend: CPUBackend
  private let noise: [MoEModel.Place: Double]

  init(
    _ pair: VerificationPair, _ inputs: CheckpointVerification.Inputs, _ matrices: [MatrixVerification],
    on backend: CPUBackend
  ) {
    (self.pair, self.inputs, self.backend) = (pair, inputs, backend)
    noise = Self.noise(of: matrices)
  }

  /// - Throws: what loading the original throws, and `invalidArgument` for an input that it doesn't read.
  func run() throws(MoEError) -> [OutputVerification] {
    let originals = Dictionary(uniqueKeysWithValues: pair.original.layers.map { ($0.index, $0) })
    var result: [OutputVerification] = []
    for layer in pair.stored.layers {
      guard let original = originals[layer.index] else { continue }
      let hidden = inputs.hidden(layer)
      var input = MoEInput()
      if layer.gate.hashTable != nil { input.tokenIDs = (0..<Int32(hidden.count / layer.hiddenSize)).map(\.self) }
      let expected = try run(original, of: pair.original, hidden, input).output
      input.routing = expected.routing
      do throws(MoEError) {
        let (found, routing) = try run(layer, of: pair.stored, hidden, input)
        result.append(compare(layer, expected, found, routing))
      } catch {
        result.append(OutputVerification(layer: layer.index, tokens: [], faults: error.faults))
      }
    }
    return result
  }

  /// What a layer gives, and what its own router chooses.
  private func run(
    _ layer: MoEModel.Layer, of model: MoEModel, _ hidden: [Float], _ input: MoEInput
  ) throws(MoEError) -> (output: MoEOutput, routing: Routing) {
    let loaded = try MoELayer(layer, of: model, on: backend)
    let output = try loaded.forward(hidden, input)
    guard input.routing != nil else { return (output, output.routing) }
    var own = input
    own.routing = nil
    return (output, try loaded.route(hidden, own))
  }

  private func compare(
    _ layer: MoEModel.Layer, _ expected: MoEOutput, _ found: MoEOutput, _ routing: Routing
  ) -> OutputVerification {
    let count = expected.routing.tokenCount
    func row(_ values: [Float], _ token: Int) -> ArraySlice<Float> {
      let width = values.count / max(1, count)
      return values[token * width..<(token + 1) * width]
    }
    let tokens = (0..<count).map { token -> OutputVerification.Token in
      let slots = expected.routing.slots(of: token)
      let output = Distance(row(expected.output, token), row(found.output, token))
      var excesses = [
        Distance(row(expected.routed, token), row(found.routed, token))
          .excess(over: routedNoise(layer, expected.routing, slots))
      ]
      if let a = expected.shared, let b = found.shared {
        let noise = noise[MoEModel.Place(layer: layer.index, isShared: true)]
        excesses.append(Distance(row(a, token), row(b, token)).excess(over: noise))
      }
      let chosen = expected.routing.ids[slots]
      return OutputVerification.Token(
        experts: chosen.filter { $0 >= 0 }.map(Int.init),
        isRoutedAlike: Set(chosen) == Set(routing.ids[slots]), relativeError: output.relativeError,
        cosine: output.cosine, excess: excesses.contains(nil) ? nil : excesses.compactMap(\.self).max())
    }
    return OutputVerification(layer: layer.index, tokens: tokens)
  }

  /// The mean noise of the chosen experts, by the squares of their weights; zero experts have none.
  private func routedNoise(_ layer: MoEModel.Layer, _ routing: Routing, _ slots: Range<Int>) -> Double? {
    var (sum, weights) = (0.0, 0.0)
    for slot in slots where routing.ids[slot] >= 0 {
      let square = Double(routing.weights[slot]) * Double(routing.weights[slot])
      weights += square
      guard routing.ids[slot] < layer.specification.expertCount else { continue }
      guard let own = noise[MoEModel.Place(layer: layer.index, expert: Int(routing.ids[slot]))] else { return nil }
      sum += square * own
    }
    return weights > 0 ? sum / weights : 0
  }

  /// Noise over signal that rounding leaves in the output of an expert: that of its projections together, as each multiplies
  /// what the others give. Of shared experts the mean. Experts of which a format doesn't tell are absent.
  private static func noise(of matrices: [MatrixVerification]) -> [MoEModel.Place: Double] {
    let experts = Dictionary(grouping: matrices) { matrix in
      MoEModel.Place(layer: matrix.place.layer, isShared: matrix.place.isShared, expert: matrix.place.expert)
    }
    return experts.compactMapValues { matrices in
      let shares = matrices.compactMap { matrix in matrix.roundingNoise.map { $0 / matrix.squares.original } }
      guard shares.count == matrices.count else { return nil }
      let projections = Set(matrices.map(\.place.projections)).count
      return shares.reduce(0, +) * Double(projections) / Double(matrices.count)
    }
  }
}

/// Sums over two rows.
private struct Distance {
  private var squares = (first: 0.0, second: 0.0, difference: 0.0)
  private var product = 0.0

  init(_ first: ArraySlice<Float>, _ second: ArraySlice<Float>) {
    for (x, y) in zip(first, second) {
      let (x, y) = (Double(x), Double(y))
      squares.first += x * x
      squares.second += y * y
      squares.difference += (x - y) * (x - y)
      product += x * y
    }
  }

  var relativeError: Double { squares.difference == 0 ? 0 : (squares.difference / squares.first).squareRoot() }

  var cosine: Double {
    squares.difference == 0 ? 1 : product / (squares.first * squares.second).squareRoot()
  }

  /// In dB over a noise, which is at least that of sums in 32 bits.
  func excess(over noise: Double?) -> Double? {
    noise.map {
      squares.difference == 0
        ? -.infinity : MatrixVerification.decibels(squares.difference, over: squares.first * max($0, 1e-9))
    }
  }
}
