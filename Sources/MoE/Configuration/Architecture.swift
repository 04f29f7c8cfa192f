// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// A family of models: how its configuration is spelt, how its tensors are named, and how its layers compute.
///
/// Names are relative to a layer; `{b}` stands for the MoE block, one of ``blocks``. Where several names are given, the
/// first that exists is used. A new family is one entry in ``ArchitectureRegistry/standard``:
///
/// ```swift
/// Architecture("Mixtral", types: ["mixtral"], classes: ["MixtralForCausalLM"]) {
///   $0.blocks = ["block_sparse_moe", "mlp"]
///   $0.layouts = .w123
///   $0.routing = { _ in .softmax(.sum(epsilon: 0)) }
/// }
/// ```
public struct Architecture: Sendable {
  public typealias Rule<Value> = @Sendable (LayerContext) throws(MoEError) -> Value

  public var name: String
  /// `model_type`s of the family.
  public var modelTypes: [String]
  /// Entries of `architectures`.
  public var classNames: [String]

  /// What stands before a layer's number in the family's own checkpoints. Readers find it, writers need it.
  public var stack = "model.layers."
  /// Whether every layer has experts where the configuration names none that has not.
  public var hasExpertsEverywhere = false
  /// Where the MoE block is below the layer.
  public var blocks = ["mlp"]
  /// The arrangements of the experts that the family's checkpoints use, the original one first.
  public var layouts: [ExpertLayout] = .projections
  public var gateWeight = ["{b}.gate.weight"]
  public var gateBias: [String] = []
  public var correctionBias = [
    "{b}.gate.e_score_correction_bias", "{b}.e_score_correction_bias", "{b}.gate.expert_bias", "{b}.expert_bias",
  ]
  /// Gemma-4: RMSNorm without a weight, this scale `[H]` and H^−½ come before the gate.
  public var gateInputScale: String?
  /// Gemma-4: multiplies the weight of each expert.
  public var perExpertScale: String?
  /// DeepSeek-V4: expert ids by token id, `[vocabulary, topK]`.
  public var hashTable: String?
  /// The correction bias of image tokens in layers that route by token id.
  public var imageBias: String?
  /// Ernie-4.5-VL: experts of text, then as many of images, which have a width and a gate of their own. Settings are
  /// lists with one for each, the gate is stored `[H, E]`, and the correction bias `[2, E]`. Only the text's are read.
  public var hasImageExperts = false
  /// Whether every projection has a bias whatever the tensors show; otherwise the tensors decide.
  public var hasExpertBias = false
  public var sharedLayouts: [ExpertLayout] = []
  /// The gate of the shared experts, `[1, H]`; present if and only if named.
  public var sharedGate: String?
  /// How the shared experts' output joins.
  public var sharedCombination: Rule<SharedCombination> = { _ in .sum }
  public var sharedIntermediateSize: Rule<Int?> = { context throws(MoEError) in try context.sharedIntermediateSize() }
  /// Projections into and out of a narrower space for the routed experts (Nemotron-H).
  public var latent: (down: String, up: String)?
  /// An RMSNorm over the block's output (A.X-K1).
  public var outputNorm: String?

  public var routing: Rule<RouterPlan> = { _ in .softmax(.sum(epsilon: 0)) }
  public var activation: Rule<Activation> = { context throws(MoEError) in try context.activation() }
  /// The activation of the shared experts, where it is another.
  public var sharedActivation: Rule<Activation>?

  public init(
    _ name: String, types: [String], classes: [String], _ adjust: (inout Self) -> Void = { _ in }
  ) {
    self.name = name
    modelTypes = types
    classNames = classes
    adjust(&self)
  }
}

/// What an architecture's rules may ask about a layer.
public struct LayerContext: Sendable {
  public let configuration: ModelConfiguration
  public let layer: Int
  public let expertCount: Int
  public let topK: Int
  public let intermediateSize: Int
  /// Whether the layer has a tensor of a name (relative, `{b}` allowed).
  public let hasTensor: @Sendable (String) -> Bool
}

/// How a layer routes: a recipe, and which of the layer's tensors it needs.
public struct RouterPlan: Sendable, Hashable {
  public enum Kind: Sendable, Hashable {
    case topK(TopKRecipe)
    case hash(scoring: Scoring, normalization: Normalization, scale: Float)
    case sparseMixer(jitter: Float)
  }

  /// Whether a correction bias steers the selection.
  public enum CorrectionBias: Sendable, Hashable {
    case none
    case required
  }

  public var kind: Kind
  public var correctionBias: CorrectionBias
  /// Ids after the experts that stand for the identity.
  public var zeroExpertCount = 0
  /// Multiplies the *summed* routed output, not the weights.
  public var postScale: Float = 1
  public var weightOnInput = false

  public init(_ kind: Kind, correctionBias: CorrectionBias = .none) {
    self.kind = kind
    self.correctionBias = correctionBias
  }

  /// Checks the plan against the sizes of a layer.
  ///
  /// - Throws: `configuration` with what does not fit.
  func validate(expertCount: Int, topK: Int) throws(MoEError) {
    let idCount = expertCount + zeroExpertCount
    switch kind {
    case .topK(let recipe): try recipe.validate(expertCount: idCount, topK: topK)
    case .hash(let scoring, let normalization, let scale):
      try TopKRecipe(scoring: scoring, normalization: normalization, scale: scale)
        .validate(expertCount: idCount, topK: topK)
    case .sparseMixer(let jitter): _ = try SparseMixerRouter(expertCount: idCount, jitter: jitter)
    }
  }

  /// Softmax over all experts, then top k.
  public static func softmax(_ normalization: Normalization) -> Self {
    Self(.topK(TopKRecipe(scoring: .softmax, normalization: normalization)))
  }

  /// Top k, then softmax over the k.
  public static let selectedSoftmax = Self(.topK(TopKRecipe(scoring: .selectedSoftmax)))
}

/// How the output of shared experts joins the routed one.
public enum SharedCombination: Sendable, Hashable {
  /// routed + shared, the latter times sigmoid(gate) where there is a gate.
  case sum
  /// ½(routed + shared) (Cohere2).
  case average
  /// routed · (1 − c) + shared · c with c = sigmoid(gate) (MiniMax-Text-01's coefficient).
  case interpolate
}

extension [ExpertLayout] {
  /// `gate_proj`, `up_proj`, `down_proj`, per expert or fused as transformers 5 keeps them.
  public static let projections: Self = [
    .perExpert("{b}.experts.", gate: "gate_proj", up: "up_proj", down: "down_proj"), .fusedOutputMajor,
    .fusedInputMajor,
  ]

  /// `w1`, `w3`, `w2`, or the other names.
  public static let w123: Self =
    [.perExpert("{b}.experts.", gate: "w1", up: "w3", down: "w2")] + projections

  /// Fused, input-major first (Llama-4, Qwen3-VL-MoE).
  public static let inputMajor: Self = [
    .fusedInputMajor, .fusedOutputMajor,
    .perExpert("{b}.experts.", gate: "gate_proj", up: "up_proj", down: "down_proj"),
  ]

  /// Shared experts with `gate_proj`, `up_proj` and `down_proj` below a module.
  public static func shared(_ module: String) -> Self {
    [
      .single(gate: module + ".gate_proj", up: module + ".up_proj", down: module + ".down_proj"),
      .singleFused(gateUp: module + ".gate_up_proj", down: module + ".down_proj"),
    ]
  }
}

extension ExpertLayout {
  static let fusedOutputMajor = fused(
    gateUp: "{b}.experts.gate_up_proj", down: "{b}.experts.down_proj", isInputMajor: false)
  static let fusedInputMajor = fused(
    gateUp: "{b}.experts.gate_up_proj", down: "{b}.experts.down_proj", isInputMajor: true)
}
