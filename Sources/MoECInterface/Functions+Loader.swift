// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import CMoEInterface
internal import MoE
internal import Tensors

/// A layer that is filled by tensors pushed by name: what `moe_loader` stands for.
@safe
final class LayerLoader: HandleObject {
  static let kind = "moe_loader"
  let layer: LoadedLayer
  let push: @Sendable (String, ElementType, Shape, UnsafeRawBufferPointer) throws(MoEError) -> Void
  let finish: @Sendable () throws(MoEError) -> Void

  private init<B: Backend>(_ layer: LoadedLayer, _ loader: ExpertLoader<B>) {
    self.layer = layer
    unsafe push = { (name, type, shape, bytes) throws(MoEError) in try unsafe loader.push(name, type, shape, bytes) }
    finish = { () throws(MoEError) in try loader.finish() }
  }

  static func make(
    _ layer: MoEModel.Layer, of model: MoEModel, _ options: LoadOptions
  ) throws(MoEError) -> LayerLoader {
    func make<B: Backend>(_ backend: B) throws(MoEError) -> LayerLoader {
      let plan = try LoadPlan(layer.experts, on: backend, as: options.grid, weightType: options.weightType)
      let storage = try backend.allocate(plan.layout)
      return LayerLoader(
        try LoadedLayer.around(plan, storage, of: backend, layer, of: model, options),
        ExpertLoader(plan, into: storage, of: backend))
    }
    return try make(options.backend)
  }
}

@c @implementation
public func moe_loader_create(
  _ checkpoint: OpaquePointer?, _ layer: Int32, _ options: UnsafePointer<moe_load_options>?,
  _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> moe_result {
  boundary(reading: true) { () throws(MoEError) in
    let output = try unsafe output(out, "out")
    let model = try unsafe HandleTable.shared.find(checkpoint, as: OpenCheckpoint.self).model
    let loader = try LayerLoader.make(model.layer(Int(layer)), of: model, try unsafe LoadOptions(options))
    unsafe output.pointee = HandleTable.shared.insert(loader)
  }
}

@c @implementation
public func moe_loader_push(
  _ loader: OpaquePointer?, _ name: UnsafePointer<CChar>?, _ tensor: UnsafePointer<moe_tensor>?
) -> moe_result {
  boundary { () throws(MoEError) in
    let loader = try unsafe HandleTable.shared.find(loader, as: LayerLoader.self)
    let name = try unsafe text(name, "name")
    guard let tensor = unsafe tensor?.pointee else { throw nullArgument("tensor") }
    let argument = try unsafe TensorArgument(tensor, name, of: TensorArgument.types, shape: nil)
    guard argument.isContiguous else {
      throw MoEError(
        .invalidArgument, "a tensor that is pushed must lie without gaps", subject: name, expected: "row after row",
        found: "strides \(argument.strides)")
    }
    guard let byteCount = argument.elementType.byteCount(of: argument.count) else {
      throw MoEError(.invalidArgument, "the elements fill no whole number of bytes", subject: name)
    }
    try unsafe loader.push(
      name, argument.elementType, Shape(argument.shape),
      UnsafeRawBufferPointer(start: argument.base, count: byteCount))
  }
}

@c @implementation
public func moe_loader_finish(_ loader: OpaquePointer?, _ out: UnsafeMutablePointer<OpaquePointer?>?) -> moe_result {
  boundary { () throws(MoEError) in
    let loader = try unsafe HandleTable.shared.find(loader, as: LayerLoader.self)
    try loader.finish()
    if let out = unsafe out { unsafe out.pointee = HandleTable.shared.insert(loader.layer) }
  }
}

@c @implementation
public func moe_loader_free(_ loader: OpaquePointer?) -> moe_result {
  boundary { () throws(MoEError) in try unsafe HandleTable.shared.remove(loader, as: LayerLoader.self) }
}
