// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// Answers with a routing that was captured before, whatever the logits say.
///
/// Replaying the routing of one engine in another is how reinforcement learning keeps a trainer and an inference
/// engine on the same experts.
public struct ReplayRouter: Router {
  public let expertCount: Int
  public let routing: Routing
  public var topK: Int { routing.topK }

  /// - Throws: `invalidArgument` when an id is out of range.
  public init(_ routing: Routing, expertCount: Int) throws(MoEError) {
    try routing.validate(idCount: expertCount)
    self.routing = routing
    self.expertCount = expertCount
  }

  public func route(_ input: RouterInput) throws(MoEError) -> Routing {
    guard input.tokenCount == routing.tokenCount else {
      throw MoEError(
        .invalidArgument, "the captured routing is of another number of tokens", expected: "\(routing.tokenCount)",
        found: "\(input.tokenCount)")
    }
    return routing
  }
}

/// Hands every routing of another router to a closure.
public struct CapturingRouter<Base: Router>: Router {
  public let base: Base
  private let capture: @Sendable (Routing) -> Void
  public var expertCount: Int { base.expertCount }
  public var topK: Int { base.topK }
  public var needsTokenIDs: Bool { base.needsTokenIDs }

  public init(_ base: Base, capture: @escaping @Sendable (Routing) -> Void) {
    self.base = base
    self.capture = capture
  }

  public func route(_ input: RouterInput) throws(MoEError) -> Routing {
    let routing = try base.route(input)
    capture(routing)
    return routing
  }
}
