// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import CMoEInterface
internal import MoE
internal import Synchronization
internal import Tensors

/// A forward under way: what `moe_job` stands for.
final class Job: HandleObject {
  static let kind = "moe_job"
  private let layer: LoadedLayer
  private let batch: Batch
  private let failure = Mutex<MoEError?>(nil)
  private let task = Mutex<Int>(0)

  init(_ layer: LoadedLayer, _ batch: Batch) {
    self.layer = layer
    self.batch = batch
  }

  /// Hands it to the thread of the library, which holds it until it has run.
  func submit() throws(MoEError) {
    let context = unsafe Unmanaged.passRetained(self)
    let task = unsafe moe_task_submit(
      { unsafe Unmanaged<Job>.fromOpaque($0).takeRetainedValue().run() }, context.toOpaque())
    guard let task = unsafe task else {
      unsafe context.release()
      throw MoEError(.outOfMemory, "the system does not start a thread for jobs")
    }
    self.task.withLock { $0 = Int(bitPattern: task) }
  }

  private func run() {
    do throws(MoEError) {
      try batch.run(on: layer)
    } catch {
      failure.withLock { $0 = error }
    }
  }

  /// - Throws: what the forward threw; `invalidHandle` where it was lost by a fork.
  func wait() throws(MoEError) {
    let task = unsafe OpaquePointer(bitPattern: task.withLock { $0 })!
    guard unsafe moe_task_wait(task) else {
      throw MoEError(.invalidHandle, "the job was under way in the process that this one was forked from")
    }
    if let failure = failure.withLock({ $0 }) { throw failure }
  }
}

@c @implementation
public func moe_layer_submit(
  _ layer: OpaquePointer?, _ batch: UnsafePointer<moe_batch>?, _ job: UnsafeMutablePointer<OpaquePointer?>?
) -> moe_result {
  boundary { () throws(MoEError) in
    let output = try unsafe output(job, "job")
    let layer = try unsafe HandleTable.shared.find(layer, as: LoadedLayer.self)
    let job = Job(layer, try unsafe Batch(structure(batch, "batch"), for: layer.sizes))
    try job.submit()
    unsafe output.pointee = HandleTable.shared.insert(job)
  }
}

@c @implementation
public func moe_job_wait(_ job: OpaquePointer?) -> moe_result {
  boundary { () throws(MoEError) in try unsafe HandleTable.shared.remove(job, as: Job.self).wait() }
}
