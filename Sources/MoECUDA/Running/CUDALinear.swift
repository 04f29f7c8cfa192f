// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import CAccelerators
public import MoE

/// A dense matrix in a device's memory, all 32-bit: the gate and its like.
public final class CUDALinear: Sendable {
  let weights: CUDABuffer
  let bias: CUDABuffer?
  let rows, columns: Int

  fileprivate init(_ weights: CUDABuffer, bias: CUDABuffer?, rows: Int, columns: Int) {
    self.weights = weights
    self.bias = bias
    (self.rows, self.columns) = (rows, columns)
  }
}

extension CUDABackend {
  public func makeLinear(weights: [Float], rows: Int, columns: Int, bias: [Float]?) throws(MoEError) -> CUDALinear {
    try validateMatrix(weights, rows: rows, columns: columns, bias: bias)
    let queue = try makeQueue()
    try device().load([.linear])
    let linear = CUDALinear(
      try makeBuffer(weights, on: queue),
      bias: try bias.map { (bias) throws(MoEError) in try makeBuffer(bias, on: queue) }, rows: rows, columns: columns)
    try queue.synchronize()
    return linear
  }

  public func rowCount(of linear: CUDALinear) -> Int { linear.rows }

  public func apply(
    _ linear: CUDALinear, to input: CUDABuffer, tokenCount: Int, into output: CUDABuffer, on queue: CUDAQueue
  ) throws(MoEError) {
    try validateBatch(tokenCount)
    try input.require(tokenCount * linear.columns * 4)
    try output.require(tokenCount * linear.rows * 4)
    guard tokenCount > 0 else { return }
    var arguments = moe_linear_device_arguments()
    arguments.weights = linear.weights.address
    arguments.bias = linear.bias?.address ?? 0
    (arguments.input, arguments.output) = (input.address, output.address)
    (arguments.tokens, arguments.rows, arguments.columns) = (
      Int32(tokenCount), Int32(linear.rows), Int32(linear.columns)
    )
    try queue.launch(.linear, x: (linear.rows + 7) / 8, y: (tokenCount + 7) / 8, arguments)
  }
}
