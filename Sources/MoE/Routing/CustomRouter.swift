// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// A router made of a closure, whose result is checked: its size, its ids, its weights.
///
/// ```swift
/// let first = CustomRouter(expertCount: 8, topK: 1) { input in
///   let zeros = [Int32](repeating: 0, count: input.tokenCount)
///   return try Routing(topK: 1, ids: zeros, weights: zeros.map { _ in 1 })
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
    guard routing.tokenCount == input.tokenCount, routing.topK == topK else {
      throw MoEError(
        .invalidArgument, "the custom router returned a routing of another size",
        expected: "[\(input.tokenCount), \(topK)]", found: "[\(routing.tokenCount), \(routing.topK)]")
    }
    try routing.validate(idCount: expertCount)
    return routing
  }
}
