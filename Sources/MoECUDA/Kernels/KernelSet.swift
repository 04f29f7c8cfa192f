// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import CAccelerators
internal import MoE

/// The kernels that a layer runs on, which decide how its weights lie in memory.
enum KernelSet: Sendable, Hashable {
  /// Those for every device, form and activation.
  case portable
  /// Those for Hopper.
  case hopper(HopperKernels)

  /// What there is for Hopper: a form of weights, the precision of activations that it is multiplied in, and what weights
  /// are kept in it. The first that fits is taken.
  private static let rows: [(form: HopperForm, precision: ActivationPrecision, weights: WeightPattern)] = [
    (.bf16, .bf16, .dense),
    (.e4m3Block, .fp8, .codes(.e4m3, bits: 8...8, [.blocks(128)])),
    (.e4m3Rows, .fp8, .codes(.e4m3, bits: 8...8, [.rows])),
    (.mxfp4, .bf16, .codes(.e2m1, bits: 4...4, [.groups(of: [32]), .scales(.e8m0)])),
    (.mxfp4E4M3, .fp8, .codes(.e2m1, bits: 4...4, [.groups(of: [32]), .scales(.e8m0)])),
    (.nvfp4, .bf16, .codes(.e2m1, bits: 4...4, [.groups(of: [16]), .scales(.e4m3), .factor])),
    (.int4Groups128, .bf16, .codes(.integer, bits: 4...4, [.groupsOrRows(by: 128), .zeros])),
    (.int4Groups32, .bf16, .codes(.integer, bits: 4...4, [.groupsOrRows(by: 32), .zeros])),
    (.int4Minimums32, .bf16, .codes(nil, bits: 4...4, [.groupsOrRows(by: 32), .minimums, .corrected, .factors])),
    (.e4m3Groups128, .bf16, .codes(.e4m3, bits: 8...8, [.groupsOrRows(by: 128)])),
    (.e4m3Groups32, .bf16, .codes(.e4m3, bits: 8...8, [.groupsOrRows(by: 32)])),
    (.int8Groups128, .bf16, .codes(nil, bits: 1...8, [.groupsOrRows(by: 128), .zeros])),
    (.int8Groups32, .bf16, .codes(nil, bits: 1...8, [.groupsOrRows(by: 32), .minimums, .factors])),
    (.int8Groups16, .bf16, .codes(nil, bits: 1...8, [.groupsOrRows(by: 16), .minimums, .factors])),
  ]

  /// - Parameter architecture: nil where there is no device.
  init(
    _ specification: LayerSpecification, _ precision: ActivationPrecision, on architecture: DeviceArchitecture?
  ) {
    let row = Self.rows.first { $0.precision == precision && $0.weights.matches(specification) }
    guard let row, let architecture, architecture.isHopper, specification.expertCount <= MOE_HOPPER_EXPERTS,
      specification.activation.isGated || row.form.inputs != .e4m3InBlocks
    else {
      self = .portable
      return
    }
    self = .hopper(HopperKernels(row.form, specification.activation))
  }

  /// All that a layer launches.
  var kernels: [Kernel] {
    switch self {
    case .portable: Kernel.shared + Kernel.products
    case .hopper(let kernels): Kernel.shared + kernels.kernels
    }
  }
}

/// Weights that are kept in a form.
private enum WeightPattern {
  case dense
  /// Without a code: whole multiples of a power of two.
  case codes(CodedForm.Code?, bits: ClosedRange<Int>, [Condition])

  /// What a form of codes has to be, beside its codes.
  enum Condition: Equatable {
    /// Groups of so many columns.
    case groups(of: Set<Int>)
    /// Groups of a multiple of so many columns, or one group for a row.
    case groupsOrRows(by: Int)
    /// One group for a row.
    case rows
    /// Groups of so many columns that as many rows share.
    case blocks(Int)
    case scales(CodedForm.Number)
    /// There may be zero points, which no other form has.
    case zeros
    /// There may be minima, which no other form has.
    case minimums
    /// There are zero points or minima.
    case corrected
    /// There is a factor for all columns.
    case factor
    /// There may be factors.
    case factors

    func holds(_ form: CodedForm) -> Bool {
      switch self {
      case .groups(let sizes): form.group.map(sizes.contains) == true
      case .groupsOrRows(let size): form.group.map { $0 % size == 0 } ?? true
      case .rows: form.group == nil
      case .blocks(let size): form.group == size && form.rowGroup == size
      case .scales(let number): form.scale == number
      case .factor: form.factor.map { $0.group == nil } ?? false
      case .corrected: form.correction != .none
      case .zeros, .minimums, .factors: true
      }
    }
  }

  /// Whether the weights of all projections are such.
  func matches(_ specification: LayerSpecification) -> Bool {
    guard case .codes(let code, let bits, let conditions) = self else { return specification.codes.isEmpty }
    let hasFactors = conditions.contains(.factor) || conditions.contains(.factors)
    // Zeros beyond the sizes would have to be codes, too.
    let sizes = [specification.hiddenSize, specification.intermediateSize]
    return sizes.allSatisfy { $0 % HopperForm.alignment == 0 }
      && specification.projections.allSatisfy { projection in
        guard let form = specification.codes[projection] else { return false }
        let correction =
          switch form.correction {
          case .none: true
          case .zero: conditions.contains(.zeros)
          case .minimum: conditions.contains(.minimums)
          }
        return (code.map { form.code == $0 } ?? form.isIntegral) && bits.contains(form.bits) && correction
          && (hasFactors || form.factor == nil) && conditions.allSatisfy { $0.holds(form) }
      }
  }
}
