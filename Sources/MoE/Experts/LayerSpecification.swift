// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import Tensors

/// A group of experts as a backend sees it: sizes, activation and type, no names and no values.
///
/// A routed layer has one of these, its shared experts have another (of one expert).
public struct LayerSpecification: Sendable, Hashable {
  /// Experts with weights.
  public var expertCount: Int
  /// H, the width of input and output.
  public var hiddenSize: Int
  /// I, the width between the matrix products.
  public var intermediateSize: Int
  public var activation: Activation
  /// Whether every projection has a bias.
  public var hasBias: Bool
  /// Whether the router's weight multiplies the expert's input instead of its output (Llama-4).
  public var weightOnInput: Bool
  /// The type of the weights of the projections that are not kept as codes.
  public var elementType: ElementType
  /// The projections whose weights are kept as codes, and how.
  public var codes: [Projection: CodedForm]
  /// What the checkpoint declares for the inputs of the products; backends need not follow it.
  public var activations: ActivationSchemes

  public init(
    expertCount: Int, hiddenSize: Int, intermediateSize: Int, activation: Activation = .silu, hasBias: Bool = false,
    weightOnInput: Bool = false, elementType: ElementType = .bf16, codes: [Projection: CodedForm] = [:],
    activations: ActivationSchemes = .unquantized
  ) {
    self.expertCount = expertCount
    self.hiddenSize = hiddenSize
    self.intermediateSize = intermediateSize
    self.activation = activation
    self.hasBias = hasBias
    self.weightOnInput = weightOnInput
    self.elementType = elementType
    self.codes = codes
    self.activations = activations
  }

  /// The projections of each expert.
  public var projections: [Projection] { activation.isGated ? [.gate, .up, .down] : [.up, .down] }

  /// The tensors of each projection.
  public var roles: [TensorRole] { hasBias ? [.weight, .bias] : [.weight] }

  /// Logical `(rows, columns)` = `(out, in)` of a projection.
  public func size(of projection: Projection) -> (rows: Int, columns: Int) {
    projection == .down ? (hiddenSize, intermediateSize) : (intermediateSize, hiddenSize)
  }

  /// The types that weights are kept in, as part of a layout's identity.
  package var residentName: String {
    guard !codes.isEmpty else { return elementType.rawValue }
    return projections.map { codes[$0]?.description ?? elementType.rawValue }.joined(separator: "; ")
  }

  /// Refines the groups of columns of down, and of rows of gate and up, so that no cut of the intermediate size crosses
  /// one.
  mutating func cutCodes(at columns: [Int]) {
    for projection in projections where projection != .down {
      codes[projection] = codes[projection]?.cut(atRows: columns)
    }
    guard let form = codes[.down] else { return }
    codes[.down] = form.cut(at: columns)
    if codes[.down] == nil { elementType = .f32 }
  }

  /// The same experts with their weights in another type.
  ///
  /// - Throws: `shapeMismatch` for sizes that don't divide into the type's groups.
  public func converted(to type: WeightType) throws(MoEError) -> Self {
    var converted = self
    try converted.convert(to: type)
    return converted
  }

  /// Keeps all weights in another type.
  mutating func convert(to type: WeightType) throws(MoEError) {
    decodeCodes()
    guard type.elementType == nil else {
      elementType = type.elementType!
      return
    }
    elementType = .f32
    for projection in projections {
      let size = size(of: projection)
      var stored: [TensorRole: ElementType] = [:]
      for (tensor, header) in try type.scheme.encodedTensors(
        rows: size.rows, columns: size.columns, name: "\(projection)")
      {
        stored[tensor.role] = header.elementType
      }
      codes[projection] = type.scheme.codedForm(columns: size.columns, stored: stored)
    }
  }

  /// Keeps no weights as codes.
  mutating func decodeCodes() {
    guard !codes.isEmpty else { return }
    codes = [:]
    elementType = .f32
  }

  /// With its sizes rounded up to multiples.
  func padded(hidden: Int, intermediate: Int) -> Self {
    var padded = self
    padded.hiddenSize = (hiddenSize + hidden - 1) / hidden * hidden
    padded.intermediateSize = (intermediateSize + intermediate - 1) / intermediate * intermediate
    return padded
  }

  /// The greatest of any size; the bound keeps the bytes of an expert countable.
  static let largestSize = 1 << 24

  /// - Throws: `unsupportedByBackend` when a size is not positive or the bytes of the layer can't be counted. There may be
  ///   no expert: a rank may have no share.
  package func validate() throws(MoEError) {
    let sizes = 1...Self.largestSize
    guard (0...Self.largestSize).contains(expertCount), sizes.contains(hiddenSize), sizes.contains(intermediateSize),
      !(2 * parametersPerExpert * MemoryLayout<Double>.stride).multipliedReportingOverflow(by: expertCount).overflow
    else {
      throw MoEError(
        .unsupportedByBackend,
        "\(expertCount) experts of hidden size \(hiddenSize) and intermediate size \(intermediateSize) are no layer",
        expected: "sizes of 1...\(Self.largestSize)")
    }
  }

  /// Weights of one expert.
  public var parametersPerExpert: Int { projections.count * hiddenSize * intermediateSize }
}
