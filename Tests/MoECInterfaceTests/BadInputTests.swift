// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import CMoEInterface
import Checkpoints
import Testing

/// What a caller can do wrong: always a result and a message, never a crash.
@Suite struct BadInputTests {
  typealias Out = UnsafeMutablePointer<OpaquePointer?>
  typealias Text = UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>

  @Test func nullPointers() throws {
    let checkpoint = try Fixture.checkpoint()
    let layer = try Fixture.layer()
    defer {
      moe_checkpoint_free(checkpoint)
      moe_layer_free(layer)
    }
    var handle: OpaquePointer?
    var text: UnsafeMutablePointer<CChar>?
    expect(moe_checkpoint_open(nil, &handle), MOE_INVALID_ARGUMENT, "path", "NULL")
    expect(moe_checkpoint_open(Fixture.path, nil), MOE_INVALID_ARGUMENT, "checkpoint", "NULL")
    expect(moe_checkpoint_describe(checkpoint, nil), MOE_INVALID_ARGUMENT, "json")
    expect(moe_checkpoint_plan(checkpoint, nil, 1, nil), MOE_INVALID_ARGUMENT, "json")
    expect(moe_check(nil, 0, &text), MOE_INVALID_ARGUMENT, "path")
    expect(moe_layer_load(checkpoint, 0, nil, nil), MOE_INVALID_ARGUMENT, "out")
    expect(moe_layer_create(nil, nil, &handle), MOE_INVALID_ARGUMENT, "weights")
    expect(moe_activation_value(nil, 1, 1, nil), MOE_INVALID_ARGUMENT, "out")
    expect(moe_layer_describe(layer, nil), MOE_INVALID_ARGUMENT, "info")
    expect(moe_layer_forward(layer, nil), MOE_INVALID_ARGUMENT, "batch")
    expect(moe_layer_submit(layer, nil, &handle), MOE_INVALID_ARGUMENT, "batch")
    expect(moe_layer_loads(layer, nil, 8, 0), MOE_INVALID_ARGUMENT, "counts")
    expect(moe_loader_create(checkpoint, 0, nil, nil), MOE_INVALID_ARGUMENT, "out")
    moe_string_free(nil)
    #expect(handle == nil && text == nil)
  }

  /// Null, small numbers, addresses, freed handles and handles of another kind, for every function that takes one.
  @Test func badHandles() throws {
    let checkpoint = try Fixture.checkpoint()
    let layer = try Fixture.layer()
    let freed = try Fixture.layer()
    defer {
      moe_checkpoint_free(checkpoint)
      moe_layer_free(layer)
    }
    try expectOK(moe_layer_free(freed))
    let elsewhere = Memory([1])
    let handles: [OpaquePointer?] = [
      nil, OpaquePointer(bitPattern: 1), OpaquePointer(bitPattern: -1), OpaquePointer(elsewhere.pointer.baseAddress!),
      freed,
    ]
    var text: UnsafeMutablePointer<CChar>?
    var out: OpaquePointer?
    var info = moe_layer_info_make()
    var batch = moe_batch_make()
    var counts: [Int64] = [0]
    for handle in handles + [layer] {
      expect(moe_checkpoint_describe(handle, &text), MOE_INVALID_HANDLE, "moe_checkpoint")
      expect(moe_checkpoint_tensors(handle, 0, &text), MOE_INVALID_HANDLE, "moe_checkpoint")
      expect(moe_checkpoint_plan(handle, nil, 1, &text), MOE_INVALID_HANDLE, "moe_checkpoint")
      expect(moe_layer_load(handle, 0, nil, &out), MOE_INVALID_HANDLE, "moe_checkpoint")
      expect(moe_loader_create(handle, 0, nil, &out), MOE_INVALID_HANDLE, "moe_checkpoint")
      expect(moe_checkpoint_free(handle), MOE_INVALID_HANDLE, "moe_checkpoint")
      expect(moe_job_wait(handle), MOE_INVALID_HANDLE, "moe_job")
      expect(moe_loader_free(handle), MOE_INVALID_HANDLE, "moe_loader")
      expect(moe_loader_finish(handle, &out), MOE_INVALID_HANDLE, "moe_loader")
      expect(moe_loader_push(handle, "x", nil), MOE_INVALID_HANDLE, "moe_loader")
    }
    for handle in handles + [checkpoint] {
      expect(moe_layer_describe(handle, &info), MOE_INVALID_HANDLE, "moe_layer")
      expect(moe_layer_forward(handle, &batch), MOE_INVALID_HANDLE, "moe_layer")
      expect(moe_layer_submit(handle, &batch, &out), MOE_INVALID_HANDLE, "moe_layer")
      expect(moe_layer_loads(handle, &counts, 1, 0), MOE_INVALID_HANDLE, "moe_layer")
      expect(moe_layer_free(handle), MOE_INVALID_HANDLE, "moe_layer")
    }
    #expect(out == nil && text == nil)
  }

  @Test func pathsThatAreNone() throws {
    var handle: OpaquePointer?
    expect(moe_checkpoint_open("/nowhere", &handle), MOE_INVALID_CHECKPOINT, "/nowhere")
    expect(moe_checkpoint_open("/dev/null", &handle), MOE_INVALID_CHECKPOINT)
    expect(moe_checkpoint_open([-1, 0], &handle), MOE_INVALID_ARGUMENT, "UTF-8")
    var text: UnsafeMutablePointer<CChar>?
    try expectOK(moe_check("/nowhere", 0, &text))
    #expect(String(cString: try #require(text)).contains(#""whole":false"#))
    moe_string_free(text)
  }

  @Test func options() throws {
    let checkpoint = try Fixture.checkpoint()
    defer { moe_checkpoint_free(checkpoint) }
    var handle: OpaquePointer?
    func load(_ layer: Int32 = 0, _ change: (inout moe_load_options) -> Void) -> moe_result {
      var options = moe_load_options_make()
      change(&options)
      return moe_layer_load(checkpoint, layer, &options, &handle)
    }
    expect(load(7) { _ in }, MOE_INVALID_ARGUMENT, "layer 7", "0, 1")
    expect(load { $0.struct_size = 0 }, MOE_INVALID_ARGUMENT, "struct_size")
    expect(load { $0.struct_size = 1 << 40 }, MOE_INVALID_ARGUMENT, "struct_size")
    expect(load { $0.threads = -1 }, MOE_INVALID_ARGUMENT, "threads")
    expect(load { $0.threads = 100_000 }, MOE_INVALID_ARGUMENT, "threads")
    expect(load { $0.rank = 1 }, MOE_INVALID_ARGUMENT, "rank")
    expect(load { $0.tensor_parallel = -2 }, MOE_INVALID_ARGUMENT, "grid")
    expect(load { $0.tensor_parallel = 1 << 14 }, MOE_INVALID_ARGUMENT, "intermediate size 96")
    "float7".withCString { name in
      expect(load { $0.weight_type = name }, MOE_INVALID_ARGUMENT, "float7", "int4-gN")
      expect(load { $0.backend = name }, MOE_UNSUPPORTED, "float7", "cpu, reference or cuda[:N]")
      expect(load { $0.activations = name }, MOE_INVALID_ARGUMENT, "float7", "declared")
    }
    var plan: UnsafeMutablePointer<CChar>?
    expect(moe_checkpoint_plan(checkpoint, nil, 0, &plan), MOE_INVALID_ARGUMENT, "max_tokens")
    #expect(handle == nil)
  }

  /// A caller of an older version has fewer fields, one of a later version more.
  @Test func sizesOfOtherVersions() throws {
    let layer = try Fixture.layer()
    defer { moe_layer_free(layer) }
    var info = moe_layer_info_make()
    info.struct_size = 16
    info.model_size = -7
    try expectOK(moe_layer_describe(layer, &info))
    #expect(info.hidden_size == 64 && info.model_size == -7 && info.struct_size == 16)

    let later = Memory([UInt8](repeating: 0, count: MemoryLayout<moe_batch>.size + 8))
    let batch = UnsafeMutableRawPointer(later.pointer.baseAddress!).assumingMemoryBound(to: moe_batch.self)
    batch.pointee.struct_size = later.pointer.count
    expect(moe_layer_forward(layer, batch), MOE_INVALID_ARGUMENT, "hidden")
    later.pointer[later.pointer.count - 1] = 1
    expect(moe_layer_forward(layer, batch), MOE_INVALID_ARGUMENT, "later version")
  }

  /// Every way in which a batch may not fit, each named.
  @Test func batches() throws {
    let layer = try Fixture.layer()
    defer { moe_layer_free(layer) }
    let hidden = Memory(numbers(4 * 64))
    let output = Memory([Float](repeating: 7, count: 4 * 64))
    let (ids, weights) = (Memory([Int32](repeating: 1, count: 8)), Memory([Float](repeating: 1, count: 8)))
    func run(_ change: (inout moe_batch) -> Void) -> moe_result {
      var batch = moe_batch_make()
      batch.hidden = hidden.matrix(MOE_F32, 4, 64)
      batch.output = output.matrix(MOE_F32, 4, 64)
      batch.topk_ids = ids.matrix(MOE_I32, 4, 2)
      batch.topk_weights = weights.matrix(MOE_F32, 4, 2)
      change(&batch)
      return moe_layer_forward(layer, &batch)
    }
    func refused(_ texts: String..., change: (inout moe_batch) -> Void) {
      let result = run(change)
      #expect(result == MOE_INVALID_ARGUMENT, "\(lastError)")
      for text in texts { #expect(lastError.contains(text)) }
    }
    refused("hidden", "NULL") { $0.hidden.data = nil }
    refused("hidden", "I64") { $0.hidden.dtype = moe_dtype(MOE_I64) }
    refused("hidden", "dtype 99") { $0.hidden.dtype = 99 }
    refused("hidden", "dtype -3") { $0.hidden.dtype = -3 }
    refused("hidden", "rank") { $0.hidden.rank = 3 }
    refused("hidden", "rank") { $0.hidden.rank = .max }
    refused("hidden", "[any, 64]", "[4, 63]") { $0.hidden.shape.1 = 63 }
    refused("hidden", "[-1, 64]") { $0.hidden.shape.0 = -1 }
    refused("hidden") { $0.hidden.shape.0 = .max }
    refused("hidden", "strides") { $0.hidden.strides.0 = .max }
    refused("hidden", "strides") { $0.hidden.strides.1 = -1 }
    refused("output", "overlap") { $0.output.strides.0 = 63 }
    refused("output", "overlap") { $0.output.strides.1 = 0 }
    refused("output", "[3, 64]") { $0.output.shape.0 = 3 }
    refused("topk_ids", "F32") { $0.topk_ids.dtype = moe_dtype(MOE_F32) }
    refused("topk_ids", "[3, 2]") { $0.topk_ids.shape.0 = 3 }
    refused("topk_weights", "[4, 1]") { $0.topk_weights.shape.1 = 1 }
    refused("go together") { $0.topk_weights.data = nil }
    refused("both") { $0.router_logits = hidden.matrix(MOE_F32, 4, 8) }
    refused("router_logits", "[4, 7]") { $0.router_logits = hidden.matrix(MOE_F32, 4, 7) }
    refused("nothing says") { batch in
      batch.topk_ids.data = nil
      batch.topk_weights.data = nil
    }
    refused("routing_ids", "[4, 5]") { $0.routing_ids = ids.matrix(MOE_I32, 4, 5) }
    refused("hidden", "output", "topk_ids") { batch in  // all at once
      batch.hidden.dtype = 0
      batch.output.dtype = 0
      batch.topk_ids.dtype = 0
    }
    for bad in [8, -2, Int32.max, .min] {
      ids.pointer[5] = bad
      refused("token 2", "\(bad)") { _ in }
    }
    ids.pointer[5] = 1
    weights.pointer[3] = .nan
    refused("token 1", "nan") { _ in }
    let wide = Memory([Int64](repeating: 1 << 40, count: 8))
    refused("topk_ids", "32 bits") { $0.topk_ids = wide.matrix(MOE_I64, 4, 2) }
    #expect(output.values.allSatisfy { $0 == 7 }, "nothing was written")
  }

  @Test func errorsAreOfTheirThread() async throws {
    var handle: OpaquePointer?
    expect(moe_checkpoint_open("/nowhere", &handle), MOE_INVALID_CHECKPOINT)
    await withTaskGroup(of: Void.self) { group in
      for index in 0..<8 {
        group.addTask {
          var handle: OpaquePointer?
          for _ in 0..<50 {
            let path = "/nowhere/\(index)"
            let isNamed =
              moe_checkpoint_open(path, &handle) == MOE_INVALID_CHECKPOINT
              && lastError.contains(path)
            #expect(isNamed)
          }
        }
      }
    }
  }

  /// Layers that are loaded, run and freed by many threads at once, some of them while others use them.
  @Test func threads() async throws {
    let shared = UInt(bitPattern: try Fixture.layer())
    await withTaskGroup(of: Void.self) { group in
      for index in 0..<6 {
        group.addTask {
          let (hidden, output) = (Memory(numbers(64)), Memory([Float](repeating: 0, count: 64)))
          var batch = moe_batch_make()
          batch.hidden = hidden.matrix(MOE_F32, 1, 64)
          batch.output = output.matrix(MOE_F32, 1, 64)
          batch.whole_block = 1
          for round in 0..<20 {
            if index == 0, round == 10 { #expect(moe_layer_free(OpaquePointer(bitPattern: shared)) == MOE_OK) }
            let result = moe_layer_forward(OpaquePointer(bitPattern: shared), &batch)
            #expect(result == MOE_OK || result == MOE_INVALID_HANDLE)
          }
        }
      }
    }
  }
}
