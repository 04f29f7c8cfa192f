// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import CAccelerators
internal import MoE
internal import Tensors

/// One forward of a batch by the kernels of Hopper.
///
/// At most 8 tokens are one launch. More are sorted, multiplied twice and added up; each kernel starts while the one before
/// it ends, and waits for it by itself. Tokens in 32 bits are rounded first.
struct HopperPass {
  private let experts: HopperExperts
  private let layout: Layout
  private let memory: CUDABuffer
  private let queue: CUDAQueue
  private let hidden: CUDABuffer
  private let isFloat: Bool
  private let ids, weights: CUDABuffer
  private let tokens, topK: Int
  private let isStream: Bool
  private let workspace: HopperWorkspace
  private let scratch: CUDABuffer

  private var specification: LayerSpecification { layout.specification }
  private var kernels: HopperKernels { experts.kernels }
  private var pairs: Int { tokens * topK }

  /// Pairs of a batch, and bytes of its input: what the kernels count in 32 bits or divide as floats.
  private static let (mostPairs, mostBytes) = (1 << 22, 1 << 32)

  /// - Parameter isWhole: whether only the sum over the experts is asked for, not what each of them gives.
  init(
    _ experts: HopperExperts, _ storage: CUDAStorage, _ queue: CUDAQueue, hidden: CUDABuffer, _ inputType: ElementType,
    ids: CUDABuffer, weights: CUDABuffer, tokens: Int, topK: Int, isWhole: Bool
  ) throws(MoEError) {
    self.experts = experts
    layout = storage.layout
    memory = storage.memory
    self.queue = queue
    self.hidden = hidden
    isFloat = inputType != .bf16
    (self.ids, self.weights) = (ids, weights)
    (self.tokens, self.topK) = (tokens, topK)
    isStream =
      isWhole
      && experts.kernels.isStreamed(
        tokens: tokens, topK: topK, experts: layout.specification.expertCount, bytesPerExpert: layout.bytesPerExpert)
    guard tokens * topK < Self.mostPairs, 2 * tokens * layout.specification.hiddenSize < Self.mostBytes else {
      throw MoEError(
        .invalidArgument, "a batch is too large for the device",
        expected: "fewer than \(Self.mostPairs) slots and \(Self.mostBytes) bytes of input",
        found: "\(tokens * topK) and \(2 * tokens * layout.specification.hiddenSize)", remedy: "split it")
    }
    workspace = HopperWorkspace(
      layout.specification, experts.kernels.form, tokens: tokens, pairs: tokens * topK, isStream: isStream)
    scratch = try queue.scratch(byteCount: workspace.byteCount)
  }

  /// output[token] = Σ over the slots of weight · what the slot's expert gives
  func sum(into output: CUDABuffer, _ type: ElementType) throws(MoEError) {
    let input = try roundedInput()
    guard !isStream else { return try stream(input, into: output, type) }
    try products(input)
    var combine = combination(into: output.address, isFloat: type != .bf16)
    combine.weights = specification.weightOnInput ? 0 : weights.address
    (combine.tokenCount, combine.topK) = (Int32(tokens), Int32(topK))
    try launch(combine)
  }

  /// rows[indices[slot]] = what the slot's expert gives, in 32 bits
  func rows(into rows: CUDABuffer, indices: CUDABuffer) throws(MoEError) {
    try products(roundedInput())
    var combine = combination(into: rows.address, isFloat: true)
    (combine.tokenCount, combine.topK) = (Int32(pairs), 1)
    combine.places = indices.address
    try launch(combine)
  }

  // MARK: - Steps

  private func address(_ offset: Int) -> UInt64 { scratch.address + UInt64(offset) }

  private func address(of part: HopperRegion.Part, _ projection: Projection) -> UInt64 {
    memory.address + UInt64(experts.region.offset(of: part, projection))
  }

  private func bias(_ projection: Projection) -> UInt64 { specification.hasBias ? address(of: .bias, projection) : 0 }

  /// Blocks of a kernel that takes piece after piece: enough to fill the device, no more than there are pieces.
  private func blocks(_ pieces: Int) -> Int { max(1, min(8 * queue.device.multiprocessors, pieces)) }

  private func roundedInput() throws(MoEError) -> UInt64 {
    guard isFloat else { return hidden.address }
    var round = moe_hopper_round_arguments()
    (round.input, round.output) = (hidden.address, address(workspace.input))
    round.count = Int64(tokens * specification.hiddenSize / 8)
    try queue.launch(HopperKernels.round, x: blocks((Int(round.count) + 255) / 256), round, options: .overlaps)
    return round.output
  }

  private func stream(_ input: UInt64, into output: CUDABuffer, _ type: ElementType) throws(MoEError) {
    let first = experts.region.first, (hidden, inner) = (specification.hiddenSize, specification.intermediateSize)
    // By the longer rows: both products share the ring.
    let chunk = kernels.form.chunk(columns: max(hidden, inner), tokens: tokens)
    var stream = moe_hopper_stream_arguments()
    (stream.input, stream.topKIds, stream.topKWeights) = (input, ids.address, weights.address)
    (stream.gateUp, stream.down) = (address(of: .weights, first), address(of: .weights, .down))
    (stream.gateUpScales, stream.downScales) = (address(of: .scales, first), address(of: .scales, .down))
    (stream.gateUpBias, stream.downBias) = (bias(first), bias(.down))
    stream.expertBytes = Int64(layout.bytesPerExpert)
    stream.intermediate = address(workspace.intermediate)
    stream.output = output.address
    stream.grid = try queue.grid().address
    stream.activation = specification.activation.hopper
    (stream.tokenCount, stream.topK) = (Int32(tokens), Int32(topK))
    (stream.hidden, stream.inner) = (Int32(hidden), Int32(inner))
    stream.stages = Int32(kernels.streamStages(chunk: chunk, tokens: tokens))
    stream.weightOnInput = specification.weightOnInput ? 1 : 0
    stream.experts = Int32(specification.expertCount)
    stream.outputIsFloat = type == .bf16 ? 0 : 1
    try queue.launch(
      kernels.stream(chunk: chunk), x: queue.device.multiprocessors, maps: experts.streamMaps, stream,
      options: [.overlaps, .meets])
  }

  /// The sort and both products: what the experts give lies in `workspace.outputs`, by pair.
  private func products(_ input: UInt64) throws(MoEError) {
    let form = kernels.form
    try sort()
    if form.inputs != .bf16 { try quantize(input) }
    let (hidden, inner, count) = (specification.hiddenSize, specification.intermediateSize, specification.expertCount)
    let most = kernels.tokens(pairs: pairs, experts: count, columns: min(hidden, inner))
    let cluster = kernels.cluster(tokens: most)
    let multiprocessors = queue.device.multiprocessors
    let blocks = multiprocessors / cluster * cluster
    func kernel(isDown: Bool) -> Kernel {
      let tokens = kernels.tokens(
        isDown: isDown, outputs: isDown ? hidden : inner, most: most, pairs: pairs, experts: count,
        multiprocessors: multiprocessors)
      return kernels.grouped(isDown: isDown, tokens: tokens)
    }
    let first = experts.region.first

    var up = try product(columns: hidden, width: inner)
    up.sources.input = form.inputs == .bf16 ? input : address(workspace.inputCodes)
    up.sources.inputScales = address(workspace.inputScales)
    up.sources.weightScales = address(of: .scales, first)
    up.results.output = address(workspace.intermediate)
    up.results.outputScales = address(workspace.intermediateScales)
    up.results.inputWeights = specification.weightOnInput ? weights.address : 0
    up.results.bias = bias(first)
    try queue.launch(
      kernel(isDown: false), x: blocks, maps: [experts.gateUpMap(cluster: cluster), TensorMap()], up,
      options: .overlaps)
    if form.inputs == .e4m3InRows { try quantizeIntermediate() }

    var down = try product(columns: inner, width: hidden)
    down.sources.inputScales = address(workspace.intermediateScales)
    down.sources.weightScales = address(of: .scales, .down)
    down.results.output = address(workspace.outputs)
    down.results.bias = bias(.down)
    let rows = try TensorMap(
      rowsOf: form,
      at: address(form.inputs == .e4m3InRows ? workspace.intermediateCodes : workspace.intermediate), rows: pairs,
      columns: form.inputColumns(inner),
      step: HopperKernels.step(isDown: true, tokens: most), queue.device)
    try queue.launch(
      kernel(isDown: true), x: blocks, maps: [experts.downMap(cluster: cluster), rows], down, options: .overlaps)
  }

  private func quantize(_ input: UInt64) throws(MoEError) {
    var quantize = moe_hopper_quantize_arguments()
    quantize.input = input
    (quantize.codes, quantize.scales) = (address(workspace.inputCodes), address(workspace.inputScales))
    (quantize.rows, quantize.columns) = (Int32(tokens), Int32(specification.hiddenSize))
    try launch(quantize, rows: tokens)
  }

  /// Of the rows that there are, which only the device knows.
  private func quantizeIntermediate() throws(MoEError) {
    var quantize = moe_hopper_quantize_arguments()
    quantize.input = address(workspace.intermediate)
    (quantize.codes, quantize.scales) = (address(workspace.intermediateCodes), address(workspace.intermediateScales))
    quantize.columns = Int32(specification.intermediateSize)
    quantize.rowCount = address(workspace.offsets + 4 * specification.expertCount)
    try launch(quantize, rows: pairs)
  }

  private func launch(_ quantize: moe_hopper_quantize_arguments, rows: Int) throws(MoEError) {
    guard let kernel = kernels.quantize else { return }
    // A warp takes a row, or two blocks of scales.
    let isInBlocks = kernels.form.inputs == .e4m3InBlocks
    let pieces = isInBlocks ? (rows * HopperForm.blocks(Int(quantize.columns)) + 1) / 2 : rows
    try queue.launch(kernel, x: blocks((pieces + 7) / 8), quantize, options: .overlaps)
  }

  private func sort() throws(MoEError) {
    var sort = moe_hopper_sort_arguments()
    sort.ids = ids.address
    (sort.offsets, sort.rows) = (address(workspace.offsets), address(workspace.rows))
    sort.counts = address(workspace.counts)
    sort.grid = try queue.grid().address
    (sort.pairs, sort.experts) = (Int32(pairs), Int32(specification.expertCount))
    try queue.launch(HopperKernels.sort, x: workspace.sortBlocks, sort, options: .overlaps)
  }

  /// What both products have in common.
  private func product(columns: Int, width: Int) throws(MoEError) -> moe_hopper_grouped_arguments {
    var product = moe_hopper_grouped_arguments()
    product.offsets = address(workspace.offsets)
    product.sources.rows = address(workspace.rows)
    (product.sources.topK, product.sources.columns) = (Int32(topK), Int32(kernels.form.inputColumns(columns)))
    product.results.activation = specification.activation.hopper
    product.results.width = Int32(width)
    product.expertBytes = Int64(layout.bytesPerExpert)
    product.grid = try queue.grid().address
    product.experts = Int32(specification.expertCount)
    return product
  }

  private func combination(into output: UInt64, isFloat: Bool) -> moe_hopper_combine_arguments {
    var combine = moe_hopper_combine_arguments()
    combine.rows = address(workspace.outputs)
    combine.ids = ids.address
    combine.output = output
    (combine.hidden, combine.experts) = (Int32(specification.hiddenSize), Int32(specification.expertCount))
    combine.outputIsFloat = isFloat ? 1 : 0
    return combine
  }

  private func launch(_ combine: moe_hopper_combine_arguments) throws(MoEError) {
    let values = Int(combine.tokenCount) * Int(combine.hidden)
    try queue.launch(HopperKernels.combine, x: blocks((values + 2047) / 2048), combine, options: .overlaps)
  }
}

extension Activation {
  fileprivate var hopper: moe_hopper_activation {
    let portable = device
    return moe_hopper_activation(
      alpha: alpha, beta: beta, limit: portable.limit, limitAfter: portable.limit_after, slope: portable.situ_beta,
      squash: portable.situ_up_beta)
  }
}
