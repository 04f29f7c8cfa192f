// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import CAccelerators
internal import MoE
internal import Tensors

/// One forward on its way: the sort, and the products of the rows of each expert.
struct ForwardPass {
  private let region: ExpertRegion
  private let storage: CUDAStorage
  private let precision: ActivationPrecision
  private let queue: CUDAQueue
  private let hidden: CUDABuffer
  private let inputType: ElementType
  private let weights: CUDABuffer
  private let slots, topK: Int
  private let scratch: CUDABuffer
  let workspace: ForwardWorkspace

  private var specification: LayerSpecification { storage.layout.specification }
  private var schemes: ActivationSchemes { storage.layout.activations }

  /// Sorts the slots by their experts.
  init(
    _ region: ExpertRegion, _ storage: CUDAStorage, _ precision: ActivationPrecision, _ queue: CUDAQueue,
    hidden: CUDABuffer, _ inputType: ElementType, ids: CUDABuffer, weights: CUDABuffer, slots: Int, topK: Int
  ) throws(MoEError) {
    self.region = region
    self.storage = storage
    self.precision = precision
    self.queue = queue
    self.hidden = hidden
    self.inputType = inputType
    self.weights = weights
    (self.slots, self.topK) = (slots, topK)
    workspace = ForwardWorkspace(storage.layout.specification, precision, storage.layout.activations, slots: slots)
    scratch = try queue.scratch(byteCount: workspace.byteCount)
    try sort(ids)
  }

  /// The address of a place in scratch memory.
  func address(_ offset: Int) -> UInt64 { scratch.address + UInt64(offset) }

  private func sort(_ ids: CUDABuffer) throws(MoEError) {
    var sort = moe_sort_arguments()
    sort.ids = ids.address
    (sort.slots, sort.experts) = (Int32(slots), Int32(specification.expertCount))
    (sort.tile_rows, sort.tile_count) = (Int32(workspace.tileRows), Int32(workspace.tileCount))
    sort.blocks = Int32(workspace.blocks)
    sort.counts = address(workspace.counts)
    sort.offsets = address(workspace.offsets)
    sort.slot_of_row = address(workspace.slotOfRow)
    sort.row_of_slot = address(workspace.rowOfSlot)
    sort.tiles = address(workspace.tiles)
    try queue.launch(.sortCount, x: workspace.blocks, sort)
    try queue.launch(.sortScan, x: 1, sort)
    try queue.launch(.sortPlace, x: workspace.blocks, sort)
  }

  /// Both products: what the experts give goes to `output`, 32-bit rows, in the order of the experts or by `indices`.
  func products(into output: UInt64, indices: CUDABuffer?) throws(MoEError) {
    var product = moe_product_arguments()
    product.experts = storage.memory.address
    product.expert_bytes = Int64(storage.layout.bytesPerExpert)
    product.tiles = address(workspace.tiles)
    product.slots = address(workspace.slotOfRow)
    product.activation = specification.activation.device
    product.top_k = Int32(topK)
    product.gate = region.gate
    product.up = region.up
    product.is_gate_up = 1
    product.weights = specification.weightOnInput ? weights.address : 0
    product.input = hidden.address
    product.input_number = inputType.device
    product.slot_of_row = address(workspace.slotOfRow)
    if schemes.gateUp != .unquantized {
      try quantize(
        by: schemes.gateUp, storage.inputScales.gateUp, from: hidden.address, inputType, gathered: true,
        columns: specification.hiddenSize, into: address(workspace.quantized), greatest: workspace.greatest)
      product.input = address(workspace.quantized)
      product.input_number = Int32(MOE_F32)
      // Quantised rows are there in the order of experts, and already weighted.
      product.slot_of_row = 0
      product.weights = 0
    }
    product.output = address(workspace.intermediate)
    product.output_number = workspace.intermediateType.device
    try multiply(product, rows: specification.intermediateSize)

    if schemes.down != .unquantized {
      try quantize(
        by: schemes.down, storage.inputScales.down, from: address(workspace.intermediate), .f32, gathered: false,
        columns: specification.intermediateSize, into: address(workspace.intermediate), greatest: workspace.greatest + 4
      )
    }
    product.up = region.down
    product.is_gate_up = 0
    product.input = product.output
    product.input_number = product.output_number
    product.slot_of_row = 0
    product.weights = 0
    product.output = output
    product.output_number = Int32(MOE_F32)
    product.indices = indices?.address ?? 0
    try multiply(product, rows: specification.hiddenSize)
  }

  private func multiply(_ product: moe_product_arguments, rows: Int) throws(MoEError) {
    let (kernel, panelRows): (Kernel, Int) =
      precision != .bf16 ? (.productF32, 32) : (workspace.tileRows == 16 ? .productBF16Of16 : .productBF16Of64, 64)
    let isPaired = product.is_gate_up != 0 && specification.activation.isGated
    let width = isPaired ? panelRows : 2 * panelRows
    try queue.launch(kernel, x: workspace.tileCount, y: (rows + width - 1) / width, product)
  }

  private func quantize(
    by scheme: ActivationScheme, _ scale: Float?, from input: UInt64, _ type: ElementType, gathered: Bool, columns: Int,
    into output: UInt64, greatest: Int
  ) throws(MoEError) {
    if scheme.isStatic && scale == nil {
      throw MoEError(
        .invalidArgument, "the static scale of the activations was never set", subject: scheme.description)
    }
    var quantize = moe_quantize_arguments(scheme, columns: columns)
    quantize.input = input
    quantize.input_number = type.device
    quantize.slot_of_row = gathered ? address(workspace.slotOfRow) : 0
    quantize.weights = gathered && specification.weightOnInput ? weights.address : 0
    quantize.rows = address(workspace.offsets + 4 * specification.expertCount)
    quantize.output = output
    quantize.greatest = address(greatest)
    quantize.top_k = Int32(topK)
    quantize.is_static = scheme.isStatic ? 1 : 0
    quantize.scale = scale ?? 0
    // A warp for each row or group, as many as the device runs at once.
    let blocks = 8 * storage.device.multiprocessors
    if scheme.dependsOnBatch {
      try queue.fill(quantize.greatest, 0, byteCount: 4)
      try queue.launch(.quantizeGreatest, x: blocks, quantize)
    }
    try queue.launch(.quantize, x: blocks, quantize)
  }
}

extension moe_quantize_arguments {
  fileprivate init(_ scheme: ActivationScheme, columns: Int) {
    self.init()
    self.columns = Int32(columns)
    group = Int32(columns)
    limit = .infinity
    switch scheme {
    case .unquantized, .unknown: preconditionFailure("the layout has refused it")
    case .tensor(let codes, _): self.scheme = Int32(codes == .fp8 ? MOE_FP8_TENSOR : MOE_INT8_TENSOR)
    case .token(let codes, let bound):
      self.scheme = Int32(codes == .fp8 ? MOE_FP8_TOKEN : MOE_INT8_TOKEN)
      limit = bound ?? .infinity
    case .group(let size, let isPowerOfTwo):
      self.scheme = Int32(MOE_FP8_GROUP)
      group = Int32(min(max(size, 1), columns))
      is_power_of_two = isPowerOfTwo ? 1 : 0
    case .mxfp8: (self.scheme, group) = (Int32(MOE_MXFP8), Int32(min(32, columns)))
    case .mxfp4: (self.scheme, group) = (Int32(MOE_MXFP4), Int32(min(32, columns)))
    case .nvfp4: (self.scheme, group) = (Int32(MOE_NVFP4), Int32(min(16, columns)))
    }
  }
}

extension Activation {
  var device: moe_device_activation {
    var result = moe_device_activation()
    result.is_gated = isGated ? 1 : 0
    (result.alpha, result.beta) = (alpha, beta)
    (result.limit, result.limit_after) = (limit ?? .infinity, limitAfter ?? .infinity)
    switch function {
    case .silu: result.function = Int32(MOE_SILU)
    case .gelu: result.function = Int32(MOE_GELU)
    case .geluTanh: result.function = Int32(MOE_GELU_TANH)
    case .relu2: result.function = Int32(MOE_RELU2)
    case .situ(let beta, let upBeta):
      result.function = Int32(MOE_SITU)
      (result.situ_beta, result.situ_up_beta) = (beta, upBeta)
    }
    return result
  }
}
