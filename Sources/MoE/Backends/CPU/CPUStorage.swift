// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import CMoEKernels
internal import Tensors

/// The experts of a ``CPUBackend``: a packed region for each, in huge pages.
@safe
public final class CPUStorage: @unchecked Sendable {
  let layout: Layout
  let packed: moe_expert_layout
  private let memory: AlignedBuffer
  /// The start of each region.
  let regions: UnsafeMutablePointer<UnsafeRawPointer?>

  init(_ layout: Layout, _ packed: moe_expert_layout) throws(MoEError) {
    let count = layout.specification.expertCount
    let (byteCount, overflow) = count.multipliedReportingOverflow(by: Int(packed.bytes))
    do throws(AllocationError) {
      memory = try AlignedBuffer(
        byteCount: overflow ? .max : byteCount, contents: .uninitialized, hugePages: true)
    } catch {
      throw MoEError(error.faults)
    }
    self.layout = layout
    self.packed = packed
    unsafe regions = .allocate(capacity: count)
    for slot in 0..<count {
      unsafe regions[slot] = UnsafeRawPointer(memory.bytes.baseAddress! + slot * Int(packed.bytes))
    }
  }

  deinit { unsafe regions.deallocate() }

  /// The region of a slot.
  func region(_ slot: LocalExpert) throws(MoEError) -> UnsafeMutableRawBufferPointer {
    guard (0..<layout.specification.expertCount).contains(slot.rawValue) else {
      throw MoEError(
        .invalidArgument, "no such slot", expected: "0..<\(layout.specification.expertCount)",
        found: "\(slot.rawValue)")
    }
    let size = Int(packed.bytes)
    return unsafe UnsafeMutableRawBufferPointer(rebasing: memory.bytes[slot.rawValue * size..<(slot.rawValue + 1) * size])
  }
}

/// A dense matrix of a ``CPUBackend``, packed as the experts are.
@safe
public final class CPULinear: @unchecked Sendable {
  let layout: moe_linear_layout
  let region: HostBuffer

  init(weights: [Float], rows: Int, columns: Int, bias: [Float]?) throws(MoEError) {
    guard weights.count == rows * columns, bias.map({ $0.count == rows }) ?? true else {
      throw MoEError(
        .invalidArgument, "a matrix must be [rows, columns] with a bias [rows]", expected: "[\(rows), \(columns)]",
        found: "\(weights.count) weights and \(bias?.count ?? 0) biases")
    }
    let layout = moe_linear_layout_make(Int64(columns), Int64(rows), .f32, bias != nil)
    let region = HostBuffer(byteCount: Int(layout.bytes))
    self.layout = layout
    self.region = region
    unsafe weights.withUnsafeBytes { weights in
      let source = unsafe moe_source(
        base: weights.baseAddress!, element: .f32, row_stride: Int64(columns), column_stride: 1)
      guard let bias else {
        unsafe moe_pack_linear([layout], source, nil, region.bytes.baseAddress!)
        return
      }
      unsafe bias.withUnsafeBytes { bias in
        var bias = unsafe moe_source(base: bias.baseAddress!, element: .f32, row_stride: 1, column_stride: 1)
        unsafe moe_pack_linear([layout], source, &bias, region.bytes.baseAddress!)
      }
    }
  }
}
