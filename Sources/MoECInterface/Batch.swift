// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import CMoEInterface
internal import MoE
internal import Tensors

/// `moe_batch`, found to fit a layer; its tensors are read and written when it runs.
struct Batch: Sendable {
  private let hidden: TensorArgument
  private let output: TensorArgument
  private let routing: (ids: TensorArgument, weights: TensorArgument)?
  private let logits: TensorArgument?
  private let tokenIDs: TensorArgument?
  private let routed: (ids: TensorArgument?, weights: TensorArgument?)
  private let isWholeBlock: Bool

  /// - Throws: everything that doesn't fit.
  init(_ batch: moe_batch, for sizes: LoadedLayer.Sizes) throws(MoEError) {
    var faults: [Fault] = []
    func tensor(
      _ tensor: moe_tensor, _ name: String, _ types: [ElementType], _ shape: [Int?], isWritten: Bool = false
    ) -> TensorArgument? {
      do throws(MoEError) {
        return try unsafe TensorArgument(tensor, name, of: types, shape: shape, isWritten: isWritten)
      } catch {
        faults += error.faults
        return nil
      }
    }
    /// One that need not be given.
    func optional(
      _ value: moe_tensor, _ name: String, _ types: [ElementType], _ shape: [Int?], isWritten: Bool = false
    ) -> TensorArgument? {
      unsafe value.data == nil ? nil : tensor(value, name, types, shape, isWritten: isWritten)
    }
    let (floats, integers) = (TensorArgument.floats, TensorArgument.integers)
    isWholeBlock = unsafe batch.whole_block != 0
    let width = isWholeBlock ? sizes.modelSize : sizes.hiddenSize
    let hidden = unsafe tensor(batch.hidden, "hidden", floats, [nil, width])
    let tokens = hidden?.shape[0]
    let output = unsafe tensor(batch.output, "output", floats, [tokens, width], isWritten: true)
    let ids = unsafe optional(batch.topk_ids, "topk_ids", integers, [tokens, nil])
    let weights = unsafe optional(batch.topk_weights, "topk_weights", floats, [tokens, ids?.shape[1]])
    logits = unsafe optional(batch.router_logits, "router_logits", floats, [tokens, sizes.idCount])
    tokenIDs = unsafe optional(batch.token_ids, "token_ids", integers, [tokens])
    let slots = ids?.shape[1] ?? sizes.topK
    routed = unsafe (
      optional(batch.routing_ids, "routing_ids", integers, [tokens, slots], isWritten: true),
      optional(batch.routing_weights, "routing_weights", floats, [tokens, slots], isWritten: true)
    )
    routing = ids.flatMap { ids in weights.map { (ids, $0) } }
    func refuse(_ message: String, _ remedy: String) {
      faults.append(Fault(.invalidArgument, message, subject: "batch", remedy: remedy))
    }
    if unsafe (batch.topk_ids.data == nil) != (batch.topk_weights.data == nil) {
      refuse("topk_ids and topk_weights go together", "give both or none")
    } else if unsafe batch.topk_ids.data != nil && batch.router_logits.data != nil {
      refuse("both a routing and router logits are given", "give one of them")
    } else if sizes.topK == nil, unsafe batch.topk_ids.data == nil {
      refuse("the layer has no router", "give topk_ids and topk_weights")
    } else if !isWholeBlock, unsafe batch.topk_ids.data == nil && batch.router_logits.data == nil {
      refuse("nothing says where tokens go", "give topk_ids and topk_weights or router_logits, or set whole_block")
    }
    if isWholeBlock && !sizes.hasBlock {
      refuse("the layer was loaded without its block", "load it on one rank and without experts_only")
    }
    guard faults.isEmpty, let hidden, let output else { throw MoEError(faults) }
    self.hidden = hidden
    self.output = output
  }

  func run(on layer: LoadedLayer) throws(MoEError) {
    var rest = MoEInput(routerLogits: logits?.floats())
    rest.tokenIDs = try tokenIDs?.ids("token_ids")
    if let routing {
      rest.routing = try Routing(
        topK: max(routing.ids.shape[1], 1), ids: routing.ids.ids("topk_ids"), weights: routing.weights.floats())
    }
    let result = try layer.forward(
      LoadedLayer.Input(hidden: hidden.floats(), rest: rest, isWholeBlock: isWholeBlock))
    output.write(result.values)
    routed.ids?.write(result.routing.ids)
    routed.weights?.write(result.routing.weights)
  }
}
