// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import CMoEInterface
internal import Checkpoints
internal import Glibc
internal import MoE
internal import MoEInspection
internal import Tensors

/// What `moe_checkpoint` stands for.
final class OpenCheckpoint: HandleObject {
  static let kind = "moe_checkpoint"
  let model: MoEModel

  init(_ model: MoEModel) { self.model = model }
}

@c @implementation
public func moe_checkpoint_open(
  _ path: UnsafePointer<CChar>?, _ checkpoint: UnsafeMutablePointer<OpaquePointer?>?
) -> moe_result {
  boundary(reading: true) { () throws(MoEError) in
    let output = try unsafe output(checkpoint, "checkpoint")
    let model = try MoEModel(opening: unsafe text(path, "path"))
    unsafe output.pointee = HandleTable.shared.insert(OpenCheckpoint(model))
  }
}

@c @implementation
public func moe_checkpoint_free(_ checkpoint: OpaquePointer?) -> moe_result {
  boundary { () throws(MoEError) in try unsafe HandleTable.shared.remove(checkpoint, as: OpenCheckpoint.self) }
}

@c @implementation
public func moe_checkpoint_describe(
  _ checkpoint: OpaquePointer?, _ json: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
) -> moe_result {
  boundary { () throws(MoEError) in
    let output = try unsafe output(json, "json")
    let model = try unsafe HandleTable.shared.find(checkpoint, as: OpenCheckpoint.self).model
    unsafe output.pointee = try give(model.object)
  }
}

@c @implementation
public func moe_checkpoint_tensors(
  _ checkpoint: OpaquePointer?, _ layer: Int32, _ json: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
) -> moe_result {
  boundary { () throws(MoEError) in
    let output = try unsafe output(json, "json")
    let model = try unsafe HandleTable.shared.find(checkpoint, as: OpenCheckpoint.self).model
    let tensors = try model.layer(Int(layer)).experts.tensors.map { tensor -> JSONValue in
      [
        "name": .string(tensor.name), "type": .string(tensor.elementType.rawValue),
        "shape": .array(tensor.shape.dimensions.map { .integer($0) }),
      ]
    }
    unsafe output.pointee = try give(.array(tensors))
  }
}

@c @implementation
public func moe_checkpoint_plan(
  _ checkpoint: OpaquePointer?, _ options: UnsafePointer<moe_load_options>?, _ max_tokens: Int64,
  _ json: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
) -> moe_result {
  boundary { () throws(MoEError) in
    let output = try unsafe output(json, "json")
    let model = try unsafe HandleTable.shared.find(checkpoint, as: OpenCheckpoint.self).model
    let options = try unsafe LoadOptions(options)
    guard (1...1 << 31).contains(max_tokens) else {
      throw MoEError(
        .invalidArgument, "no number of tokens", subject: "max_tokens", expected: "1...2^31", found: "\(max_tokens)")
    }
    let plan = try ModelPlan(
      model, on: options.backend, over: options.grid, maxTokens: Int(max_tokens), weightType: options.weightType)
    unsafe output.pointee = try give(plan.object(of: model))
  }
}

@c @implementation
public func moe_check(
  _ path: UnsafePointer<CChar>?, _ headers_only: Int32, _ json: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
) -> moe_result {
  boundary { () throws(MoEError) in
    let output = try unsafe output(json, "json")
    let check = CheckpointCheck(readsValues: headers_only == 0)
    let report = check.run(on: try unsafe text(path, "path"))
    unsafe output.pointee = try give(report.object(readsValues: check.readsValues))
  }
}

/// A text for the caller to free.
private func give(_ value: JSONValue) throws(MoEError) -> UnsafeMutablePointer<CChar> {
  guard let text = unsafe strdup(value.serialized(pretty: false)) else {
    throw MoEError(.outOfMemory, "there is no memory for a text")
  }
  return unsafe text
}
