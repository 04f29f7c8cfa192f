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

  /// What there is for Hopper: a form of weights, the precision of activations it is multiplied in, and the layers it fits.
  private static let rows:
    [(form: HopperForm, precision: ActivationPrecision, fits: @Sendable (LayerSpecification) -> Bool)] = [
      (.bf16, .bf16, { $0.codes.isEmpty }),
      (.e4m3Block, .fp8, { $0.areCodes(e4m3Block) && $0.activation.isGated }),
      (.mxfp4, .bf16, { $0.areCodes(mxfp4) }),
    ]

  private static let e4m3Block = CodedPattern(code: .e4m3, bits: 8, groups: [128], rowGroup: 128, scales: nil)
  private static let mxfp4 = CodedPattern(code: .e2m1, bits: 4, groups: [32], rowGroup: nil, scales: [.e8m0])

  /// - Parameter architecture: nil where there is no device.
  init(
    _ specification: LayerSpecification, _ precision: ActivationPrecision, on architecture: DeviceArchitecture?
  ) {
    let row = Self.rows.first { $0.precision == precision && $0.fits(specification) }
    guard let row, let architecture, architecture.isHopper, specification.expertCount <= MOE_HOPPER_EXPERTS else {
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

/// What forms of codes have in common that the same kernels take.
private struct CodedPattern {
  var code: CodedForm.Code
  var bits: Int
  var groups: Set<Int>
  /// Rows that share scales; nil where that is of no meaning.
  var rowGroup: Int?
  /// Types of scales; nil for any.
  var scales: Set<CodedForm.Number>?

  func matches(_ form: CodedForm) -> Bool {
    form.code == code && form.bits == bits && form.group.map(groups.contains) == true && form.correction == .none
      && form.factor == nil && (rowGroup == nil || form.rowGroup == rowGroup)
      && (scales == nil || scales!.contains(form.scale))
  }
}

extension LayerSpecification {
  /// Whether the weights of all projections are codes of one kind.
  fileprivate func areCodes(_ pattern: CodedPattern) -> Bool {
    // Zeros beyond the sizes would have to be codes, too.
    hiddenSize % HopperForm.alignment == 0 && intermediateSize % HopperForm.alignment == 0
      && projections.allSatisfy { codes[$0].map(pattern.matches) == true }
  }
}
