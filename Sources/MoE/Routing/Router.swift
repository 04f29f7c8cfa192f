// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// Chooses the experts of each token from the gate's logits.
///
/// Selection ranks *biased* scores, weights are the *unbiased* ones, ties go to the lowest expert id, and arithmetic is
/// 32-bit. The kinds that released models use:
///
/// | kind | used by |
/// |---|---|
/// | ``TopKRouter`` | nearly all: softmax, sigmoid or sqrt-softplus scores, groups, correction bias |
/// | ``HashRouter`` | the first layers of DeepSeek-V4: experts by token id |
/// | ``SparseMixerRouter`` | Phi-3.5-MoE |
/// | ``CustomRouter`` | a closure of yours |
/// | ``SimulatedRouter`` | benchmarks: uniform, Zipf or normal loads |
/// | ``ReplayRouter`` | a captured routing again |
public protocol Router: Sendable {
  /// The number of logits per token: experts with weights and zero experts.
  var expertCount: Int { get }
  /// Slots per token.
  var topK: Int { get }
  /// Whether ``RouterInput/tokenIDs`` must be there.
  var needsTokenIDs: Bool { get }
  /// Routes all tokens of `input`.
  ///
  /// - Throws: ``MoEError`` when the input does not fit the router.
  func route(_ input: RouterInput) throws(MoEError) -> Routing
}

extension Router {
  public var needsTokenIDs: Bool { false }
}

/// What a router sees of a batch.
public struct RouterInput: Sendable {
  /// The gate's output, row-major `[tokens, experts]`.
  public var logits: [Float]
  public var tokenCount: Int
  /// `[tokens]`; read by routers that route by token.
  public var tokenIDs: [Int32]?
  /// `[tokens]`; a padding row gets the id −1 and the weight 0 in every slot.
  public var isPadding: [Bool]?

  public init(logits: [Float], tokenCount: Int, tokenIDs: [Int32]? = nil, isPadding: [Bool]? = nil) {
    self.logits = logits
    self.tokenCount = tokenCount
    self.tokenIDs = tokenIDs
    self.isPadding = isPadding
  }

  /// Checks the lengths against a router.
  func validate(for router: some Router) throws(MoEError) {
    let (expected, overflow) = tokenCount.multipliedReportingOverflow(by: router.expertCount)
    guard tokenCount >= 0, !overflow, logits.count == expected else {
      throw MoEError(
        .invalidArgument, "router logits must be [tokens, experts]",
        expected: "[\(tokenCount), \(router.expertCount)]", found: "\(logits.count) values")
    }
    if router.needsTokenIDs && tokenIDs == nil {
      throw MoEError(
        .invalidArgument, "this layer routes by token id, and no token ids were given", remedy: "pass the token ids")
    }
    for (name, count) in [("token ids", tokenIDs?.count), ("padding flags", isPadding?.count)] {
      guard let count, count != tokenCount else { continue }
      throw MoEError(
        .invalidArgument, "\(name) must be [tokens]", expected: "\(tokenCount) values", found: "\(count)")
    }
  }

  /// Routes row by row, leaving padding rows skipped.
  ///
  /// - Parameter body: called with the token, its logits, and a writer of (slot, id, weight).
  func routeRows(
    of router: some Router,
    _ body: (_ token: Int, _ logits: ArraySlice<Float>, _ routing: inout Routing) throws(MoEError) -> Void
  ) throws(MoEError) -> Routing {
    try validate(for: router)
    var routing = Routing(tokenCount: tokenCount, topK: router.topK)
    for token in 0..<tokenCount where isPadding?[token] != true {
      try body(token, logits[token * router.expertCount..<(token + 1) * router.expertCount], &routing)
    }
    return routing
  }
}
