// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import CMoEInterface
internal import MoE
internal import Tensors

/// A tensor of the caller, found to be of a type, a shape and strides that a function can take.
@safe
struct TensorArgument: @unchecked Sendable {
  let base: UnsafeMutableRawPointer
  let elementType: ElementType
  let shape: [Int]
  let strides: [Int]

  /// The types by their numbers in `moe.h`, from 1.
  static let types: [ElementType] = [
    .f64, .f32, .f16, .bf16, .f8e4m3, .f8e5m2, .f8e4m3fnuz, .f8e5m2fnuz, .f8e8m0, .f4, .i64, .u64, .i32, .u32, .i16,
    .u16,
    .i8, .u8, .bool,
  ]
  static let floats: [ElementType] = [.f32, .bf16, .f16]
  static let integers: [ElementType] = [.i32, .i64]

  /// - Parameters:
  ///   - shape: the extents; nil is any.
  /// - Throws: everything that is wrong with it.
  init(
    _ tensor: moe_tensor, _ name: String, of types: [ElementType], shape expected: [Int?]?, isWritten: Bool = false
  ) throws(MoEError) {
    var faults: [Fault] = []
    func fault(_ message: String, _ expected: String, _ found: String) {
      faults.append(Fault(.invalidArgument, message, subject: name, expected: expected, found: found))
    }
    guard let base = unsafe tensor.data else {
      throw MoEError(.invalidArgument, "the tensor is not given", subject: name, expected: "data", found: "NULL")
    }
    let index = unsafe Int(tensor.dtype) - 1
    let type = Self.types.indices.contains(index) ? Self.types[index] : nil
    if type.map({ !types.contains($0) }) ?? true {
      fault(
        "the tensor is of another type", types.map(\.rawValue).joined(separator: ", "),
        type?.rawValue ?? "dtype \(index + 1)")
    }
    let rank = unsafe Int(tensor.rank)
    guard (0...Int(MOE_MAX_RANK)).contains(rank), rank == expected?.count ?? rank else {
      fault("the tensor has another rank", expected.map { "\($0.count)" } ?? "0...\(MOE_MAX_RANK)", "\(rank)")
      throw MoEError(faults)
    }
    let all = unsafe (tensor.shape, tensor.strides)
    let shape = Array([all.0.0, all.0.1, all.0.2, all.0.3].prefix(rank)).map { Int($0) }
    let strides = Array([all.1.0, all.1.1, all.1.2, all.1.3].prefix(rank)).map { Int($0) }
    if zip(shape, expected ?? shape).contains(where: { $0 < 0 || $0 != $1 ?? $0 }) {
      let names = (expected ?? []).map { $0.map(String.init) ?? "any" }.joined(separator: ", ")
      fault("the tensor has another shape", expected == nil ? "no negative extent" : "[\(names)]", "\(Shape(shape))")
    } else if Self.byteSpan(shape, strides) == nil {
      fault("the tensor's strides can't be followed", "none below 0, and fewer elements", "\(strides)")
    } else if isWritten && !Self.areApart(shape, strides) {
      fault("elements of a tensor that is written overlap", "strides that keep them apart", "\(strides)")
    }
    guard faults.isEmpty, let type else { throw MoEError(faults) }
    unsafe self.base = base
    elementType = type
    self.shape = shape
    self.strides = strides
  }

  /// Bytes from the first element to the last, if elements have 8; nil where they can't be counted.
  private static func byteSpan(_ shape: [Int], _ strides: [Int]) -> Int? {
    guard var span = Shape(shape).elementCount.flatMap({ ElementType.f64.byteCount(of: $0) }), span > 0 else {
      return Shape(shape).elementCount
    }
    span = 8
    for (extent, stride) in zip(shape, strides) where extent > 1 {
      let (distance, overflow) = (extent - 1).multipliedReportingOverflow(by: stride)
      guard stride >= 0, !overflow, distance < 1 << 56 else { return nil }
      span += distance * 8
      guard span < 1 << 60 else { return nil }
    }
    return span
  }

  /// Whether each axis steps over all that the axes with smaller strides reach.
  private static func areApart(_ shape: [Int], _ strides: [Int]) -> Bool {
    guard !shape.contains(0) else { return true }
    var reach = 1
    for (stride, extent) in zip(strides, shape).filter({ $0.1 > 1 }).sorted(by: { $0.0 < $1.0 }) {
      guard stride >= reach else { return false }
      reach += (extent - 1) * stride
    }
    return true
  }

  var count: Int { shape.reduce(1, *) }

  /// Whether the elements follow each other without gaps, the last axis first.
  var isContiguous: Bool {
    var expected = 1
    for (extent, stride) in zip(shape, strides).reversed() where extent != 1 {
      if stride != expected && count > 0 { return false }
      expected *= extent
    }
    return true
  }

  private var width: Int { elementType.bitWidth / 8 }
}

// MARK: - Matrices

extension TensorArgument {
  /// Calls with the first byte, the first index and the number of elements of each run, and their stride.
  private func forEachRun(_ body: (UnsafeMutableRawPointer, _ first: Int, _ count: Int, _ stride: Int) -> Void) {
    guard count > 0 else { return }
    if isContiguous { return unsafe body(base, 0, count, 1) }
    let columns = shape.last!
    for row in 0..<count / columns {
      let offset = shape.count > 1 ? row * strides[shape.count - 2] : 0
      unsafe body(base + offset * width, row * columns, columns, columns > 1 ? strides.last! : 1)
    }
  }

  /// A vector or matrix as 32-bit floats, row after row.
  func floats() -> [Float] {
    unsafe [Float](unsafeUninitializedCapacity: count) { values, initialized in
      unsafe forEachRun { source, first, count, stride in
        unsafe elementType.decode(source, count: count, stride: stride, into: values.baseAddress! + first)
      }
      initialized = count
    }
  }

  /// A vector or matrix of ids.
  ///
  /// - Throws: `invalidArgument` for one beyond 32 bits.
  func ids(_ name: String) throws(MoEError) -> [Int32] {
    var values: [Int32] = []
    values.reserveCapacity(count)
    var wrong: Int64?
    unsafe forEachRun { source, _, count, stride in
      for index in 0..<count {
        let place = index * stride * width
        let value =
          unsafe elementType == .i64
          ? source.loadUnaligned(fromByteOffset: place, as: Int64.self)
          : Int64(source.loadUnaligned(fromByteOffset: place, as: Int32.self))
        if Int32(exactly: value) == nil { wrong = wrong ?? value }
        values.append(Int32(truncatingIfNeeded: value))
      }
    }
    if let wrong {
      throw MoEError(.invalidArgument, "an id is beyond 32 bits", subject: name, expected: "32 bits", found: "\(wrong)")
    }
    return values
  }

  /// Writes numbers in the tensor's type, rounded to nearest even.
  func write(_ values: [Float]) { write(bytes: elementType.encode(values)) }

  func write(_ ids: [Int32]) {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(ids.count * width)
    for id in ids { unsafe withUnsafeBytes(of: Int64(id).littleEndian) { unsafe bytes += $0.prefix(width) } }
    write(bytes: bytes)
  }

  private func write(bytes: [UInt8]) {
    unsafe bytes.withUnsafeBytes { bytes in
      unsafe forEachRun { target, first, count, stride in
        let source = unsafe bytes.baseAddress! + first * width
        guard stride != 1 else { return unsafe target.copyMemory(from: source, byteCount: count * width) }
        for index in 0..<count {
          unsafe (target + index * stride * width).copyMemory(from: source + index * width, byteCount: width)
        }
      }
    }
  }
}
