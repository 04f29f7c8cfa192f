// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import CAccelerators
public import MoE
internal import Synchronization
internal import Tensors

/// Experts on an NVIDIA GPU of compute capability 8.0 or later.
///
/// Weights stay in the form they are stored in: dense, or codes with scales (``CodedWeights``), which holds every format
/// of this package, GGUF's too. Nothing waits for the device between the gate and the output, and all counts stay on it,
/// so that a sequence of calls can be captured as a graph.
///
/// **Precision.** Sums are 32-bit. With activations in `f32`, inputs and the intermediate are 32-bit and weights exact;
/// with `bf16`, both are rounded to bf16, and so are weights that are no bf16. With `declared` or `fp8` they are
/// first quantised, by the rules of ``ActivationScheme``, and then multiplied in 32 bits. An output is one sum over each
/// of its columns and then over the slots in order, so two runs give the same bits.
///
/// **Hopper** has kernels of its own for bf16 activations with dense weights, mxfp4, nvfp4, integers and e4m3, and for fp8
/// activations with mxfp4 and with e4m3 that has a scale for the matrix, a row or a block of 128 × 128. What an expert gives
/// is rounded to bf16 before it is weighted; dense weights are kept in bf16, and scales that are multiplied in bf16 too; fp8
/// activations are rounded to bf16 before they are quantised. At most 8 tokens are one launch, which adds up experts in
/// ascending order.
///
/// ```swift
/// let backend = CUDABackend(ordinal: 0, activations: .bf16)     // opens nothing yet
/// let layout = try backend.layout(of: specification)            // needs no GPU
/// let storage = try backend.allocate(layout)                    // opens the device, compiles or finds its kernels
/// ```
public struct CUDABackend: Backend {
  public let ordinal: Int
  public let activations: ActivationPrecision
  private let opened: OpenedDevice

  public var name: String { "cuda" }

  /// - Parameter ordinal: the number of the device.
  public init(ordinal: Int = 0, activations: ActivationPrecision = .bf16) {
    self.ordinal = ordinal
    self.activations = activations
    opened = OpenedDevice { () throws(MoEError) in
      do throws(MoEError) {
        return try CUDADevice(ordinal: ordinal)
      } catch {
        var error = error
        error.faults[0].subject = "cuda:\(ordinal)"
        throw error
      }
    }
  }

  /// The number of the device in a backend's name, `cuda` or `cuda:N`; nil for any other name.
  public static func ordinal(named name: String) -> Int? {
    guard name != "cuda" else { return 0 }
    return name.hasPrefix("cuda:") ? Int(name.dropFirst(5)).flatMap { $0 >= 0 ? $0 : nil } : nil
  }

  /// On a device that is open.
  package init(_ device: CUDADevice, activations: ActivationPrecision) {
    ordinal = device.ordinal
    self.activations = activations
    opened = OpenedDevice { device }
  }

  /// The device, opened when it is first asked for.
  public func device() throws(MoEError) -> CUDADevice { try opened.result.get() }

  /// Depends on the device where there is one: Hopper has kernels of its own for some forms of weights, which lie in
  /// memory as those want them. Elsewhere, and without a device, it is the layout for every device.
  public func layout(of specification: LayerSpecification) throws(MoEError) -> Layout {
    try layout(of: specification, on: (try? opened.result.get())?.architecture)
  }

  /// - Parameter architecture: nil for every device.
  package func layout(
    of specification: LayerSpecification, on architecture: DeviceArchitecture?
  ) throws(MoEError) -> Layout {
    try specification.validate()
    guard [.f32, .f16, .bf16].contains(specification.elementType) else {
      throw MoEError(
        .unsupportedByBackend, "the cuda backend has no kernels for weights of type \(specification.elementType)",
        expected: "BF16, F16 or F32")
    }
    try checkGroups(of: specification)
    let schemes = try activations.schemes(of: specification)
    switch KernelSet(specification, activations, on: architecture) {
    case .portable:
      return Layout(
        identity: "cuda/rows/\(specification.residentName)", specification: specification,
        residentType: specification.elementType, codes: specification.codes, hiddenAlignment: 8,
        intermediateAlignment: 8, bytesPerExpert: ExpertRegion(specification).byteCount,
        workspacePerRow: ForwardWorkspace.bytesPerRow(of: specification, activations, schemes), activations: schemes)
    case .hopper(let kernels):
      return Layout(
        identity: "cuda/hopper/\(kernels.form.name)", specification: specification, residentType: .bf16,
        codes: specification.codes, hiddenAlignment: HopperForm.alignment, intermediateAlignment: HopperForm.alignment,
        rowAlignment: kernels.form.rowAlignment, bytesPerExpert: HopperRegion(specification, kernels.form).byteCount,
        workspacePerRow: HopperWorkspace.bytesPerRow(of: specification, kernels.form), activations: schemes)
    }
  }

  /// - Throws: `unsupportedByBackend` for groups that 8 columns side by side may not share.
  private func checkGroups(of specification: LayerSpecification) throws(MoEError) {
    var faults: [Fault] = []
    for projection in specification.projections {
      guard let form = specification.codes[projection] else { continue }
      for group in [form.group, form.factor?.group].compactMap(\.self)
      where group < 1 || group % 8 != 0 && group < specification.size(of: projection).columns {
        faults.append(
          Fault(
            .unsupportedByBackend, "the cuda backend takes groups that are multiples of 8 columns",
            subject: "\(projection)", found: "\(group)"))
      }
    }
    guard faults.isEmpty else { throw MoEError(faults) }
  }

  public func allocate(_ layout: Layout) throws(MoEError) -> CUDAStorage {
    let specification = layout.specification
    guard specification.hiddenSize % layout.hiddenAlignment == 0,
      specification.intermediateSize % layout.intermediateAlignment == 0
    else {
      throw MoEError(
        .unsupportedByBackend, "the cuda backend takes sizes that are multiples of \(layout.hiddenAlignment)",
        found: "\(specification.hiddenSize) and \(specification.intermediateSize)",
        remedy: "pad the experts with zeros, as loading does")
    }
    let device = try device()
    let kernels = KernelSet(specification, activations, on: device.architecture)
    guard try self.layout(of: specification).identity == layout.identity else {
      throw MoEError(
        .invalidArgument, "the layout is of another device or precision", subject: device.name,
        expected: try self.layout(of: specification).identity, found: layout.identity)
    }
    try device.load(kernels.kernels)
    return try CUDAStorage(layout, for: kernels, on: device)
  }

  public func specification(of storage: CUDAStorage) -> LayerSpecification { storage.layout.specification }

  public func makeQueue() throws(MoEError) -> CUDAQueue { try CUDAQueue(on: device()) }

  public func makeBuffer(byteCount: Int) throws(MoEError) -> CUDABuffer {
    try CUDABuffer(byteCount: byteCount, on: device())
  }

  public func upload(_ bytes: UnsafeRawBufferPointer, to buffer: CUDABuffer, on queue: CUDAQueue) throws(MoEError) {
    try unsafe buffer.upload(bytes, on: queue)
  }

  public func download(
    _ buffer: CUDABuffer, to bytes: UnsafeMutableRawBufferPointer, on queue: CUDAQueue
  ) throws(MoEError) {
    try unsafe buffer.download(bytes, on: queue)
  }
}

/// A device that is opened once, by whoever needs it first.
private final class OpenedDevice: Sendable {
  private let state: Mutex<Result<CUDADevice, MoEError>?> = Mutex(nil)
  private let open: @Sendable () throws(MoEError) -> CUDADevice

  init(_ open: @escaping @Sendable () throws(MoEError) -> CUDADevice) { self.open = open }

  var result: Result<CUDADevice, MoEError> {
    state.withLock { state in
      if let state { return state }
      let result = Result { () throws(MoEError) -> CUDADevice in try open() }
      state = result
      return result
    }
  }
}

extension ActivationPrecision {
  /// What is done to the inputs of the products of a layer.
  ///
  /// - Throws: `unsupportedByBackend` for a declared scheme that is not known.
  fileprivate func schemes(of specification: LayerSpecification) throws(MoEError) -> ActivationSchemes {
    switch self {
    case .f32, .bf16: return .unquantized
    case .int8:
      throw MoEError(
        .unsupportedByBackend, "the cuda backend takes no activations as bytes unless a checkpoint declares them",
        subject: "activations", expected: "f32, bf16, fp8 or declared", found: "int8")
    case .fp8:
      func scheme(_ projection: Projection) -> ActivationScheme {
        // Weights with a scale for 128 columns go with activations that have one, too.
        specification.codes[projection]?.group == 128 ? .group(128) : .token(.fp8)
      }
      return ActivationSchemes(gateUp: scheme(.up), down: scheme(.down))
    case .declared:
      let schemes = specification.activations
      for case .unknown(let text) in [schemes.gateUp, schemes.down] {
        throw MoEError(
          .unsupportedByBackend, "the declared activations are not known", found: text,
          remedy: "take activations in f32 or bf16")
      }
      return schemes
    }
  }
}
