// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// A router made of a closure.
///
/// ```swift
/// let first = CustomRouter(expertCount: 8, topK: 1) { input in
///   try Routing(topK: 1, ids: Array(repeating: 0, count: input.tokenCount), weights: Array(repeating: 1, count: input.tokenCount))
/// }
/// ```
public struct CustomRouter: Router {
  public let expertCount: Int
  public let topK: Int
  private let body: @Sendable (RouterInput) throws(MoEError) -> Routing

  public init(
    expertCount: Int, topK: Int, _ body: @escaping @Sendable (RouterInput) throws(MoEError) -> Routing
  ) {
    self.expertCount = expertCount
    self.topK = topK
    self.body = body
  }

  public func route(_ input: RouterInput) throws(MoEError) -> Routing {
    try input.validate(for: self)
    let routing = try body(input)
    try routing.validate(idCount: expertCount)
    return routing
  }
}
