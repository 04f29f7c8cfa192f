// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import CMoEInterface
internal import MoE

@c @implementation
public func moe_layer_load(
  _ checkpoint: OpaquePointer?, _ layer: Int32, _ options: UnsafePointer<moe_load_options>?,
  _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> moe_result {
  boundary(reading: true) { () throws(MoEError) in
    let output = try unsafe output(out, "out")
    let model = try unsafe HandleTable.shared.find(checkpoint, as: OpenCheckpoint.self).model
    let loaded = try LoadedLayer.load(model.layer(Int(layer)), of: model, try unsafe LoadOptions(options))
    unsafe output.pointee = HandleTable.shared.insert(loaded)
  }
}

@c @implementation
public func moe_layer_create(
  _ weights: UnsafePointer<moe_weights>?, _ options: UnsafePointer<moe_load_options>?,
  _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> moe_result {
  boundary { () throws(MoEError) in
    let output = try unsafe output(out, "out")
    let weights = try unsafe Weights(structure(weights, "weights"))
    let options = try unsafe LoadOptions(options)
    func create(_ backend: some Backend) throws(MoEError) -> LoadedLayer {
      let plan = try LoadPlan(weights.source, on: backend, as: options.grid, weightType: options.weightType)
      let storage = try backend.allocate(plan.layout)
      try weights.load(plan, into: storage, of: backend)
      return LoadedLayer.share(
        plan, RoutedExperts(backend: backend, storage: storage, specification: plan.specification))
    }
    let created = try create(options.backend)
    unsafe output.pointee = HandleTable.shared.insert(created)
  }
}

@c @implementation
public func moe_activation_value(
  _ weights: UnsafePointer<moe_weights>?, _ gate: Double, _ up: Double, _ out: UnsafeMutablePointer<Double>?
) -> moe_result {
  boundary { () throws(MoEError) in
    let output = try unsafe output(out, "out")
    unsafe output.pointee = try Weights.activation(structure(weights, "weights"))(gate: gate, up: up)
  }
}

@c @implementation
public func moe_layer_free(_ layer: OpaquePointer?) -> moe_result {
  boundary { () throws(MoEError) in try unsafe HandleTable.shared.remove(layer, as: LoadedLayer.self) }
}

@c @implementation
public func moe_layer_describe(_ layer: OpaquePointer?, _ info: UnsafeMutablePointer<moe_layer_info>?) -> moe_result {
  boundary { () throws(MoEError) in
    let output = try unsafe output(info, "info")
    let given: moe_layer_info = try unsafe structure(UnsafePointer(output), "info")
    let sizes = try unsafe HandleTable.shared.find(layer, as: LoadedLayer.self).sizes
    var result = moe_layer_info(
      struct_size: given.struct_size, hidden_size: Int64(sizes.hiddenSize), model_size: Int64(sizes.modelSize),
      intermediate_size: Int64(sizes.intermediateSize), expert_count: Int64(sizes.expertCount),
      local_expert_count: Int64(sizes.localExpertCount), id_count: Int64(sizes.idCount), top_k: Int64(sizes.topK ?? 0),
      resident_bytes: Int64(sizes.residentBytes), has_router: sizes.topK == nil ? 0 : 1,
      has_block: sizes.hasBlock ? 1 : 0)
    let size = min(given.struct_size, MemoryLayout<moe_layer_info>.size)
    unsafe UnsafeMutableRawPointer(output).copyMemory(from: &result, byteCount: size)
  }
}

@c @implementation
public func moe_layer_forward(_ layer: OpaquePointer?, _ batch: UnsafePointer<moe_batch>?) -> moe_result {
  boundary { () throws(MoEError) in
    let layer = try unsafe HandleTable.shared.find(layer, as: LoadedLayer.self)
    try unsafe Batch(structure(batch, "batch"), for: layer.sizes).run(on: layer)
  }
}

@c @implementation
public func moe_layer_loads(
  _ layer: OpaquePointer?, _ counts: UnsafeMutablePointer<Int64>?, _ count: Int64, _ reset: Int32
) -> moe_result {
  boundary { () throws(MoEError) in
    let output = try unsafe output(counts, "counts")
    let layer = try unsafe HandleTable.shared.find(layer, as: LoadedLayer.self)
    guard count >= layer.sizes.idCount else {
      throw MoEError(
        .invalidArgument, "there is no room for the counts", subject: "count", expected: "\(layer.sizes.idCount)",
        found: "\(count)")
    }
    for (index, load) in layer.loads(reset: reset != 0).enumerated() { unsafe output[index] = load }
  }
}
