// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import CMoEInterface
internal import Checkpoints
internal import MoE
internal import MoECUDA
internal import Tensors

/// The body of a C function: what it throws becomes the result and the text of `moe_last_error`.
///
/// - Parameter reading: whether what is wrong with tensors is wrong with a checkpoint, and not with an argument.
func boundary(reading: Bool = false, _ body: () throws(MoEError) -> Void) -> moe_result {
  do throws(MoEError) {
    try body()
    return moe_result(MOE_OK)
  } catch {
    return report(error, reading: reading)
  }
}

/// Keeps the text of an error for `moe_last_error`.
func report(_ error: MoEError, reading: Bool) -> moe_result {
  unsafe moe_error_set(error.description)
  let code = error.faults.first.flatMap { results[$0.code] }
  return moe_result(code ?? (reading ? MOE_INVALID_CHECKPOINT : MOE_INVALID_ARGUMENT))
}

private let results: [Fault.Code: Int] = [
  .invalidHandle: MOE_INVALID_HANDLE, .invalidArgument: MOE_INVALID_ARGUMENT, .outOfMemory: MOE_OUT_OF_MEMORY,
  .unsupported: MOE_UNSUPPORTED, .unsupportedByBackend: MOE_UNSUPPORTED, .unknownArchitecture: MOE_UNSUPPORTED,
  .device: MOE_DEVICE,
]

extension Fault.Code {
  /// A handle is null, was freed, or is of another kind.
  static let invalidHandle = Self(rawValue: "invalidHandle")
}

/// Where a function gives something.
///
/// - Throws: `invalidArgument` when it is null.
func output<Value>(
  _ pointer: UnsafeMutablePointer<Value>?, _ name: String
) throws(MoEError) -> UnsafeMutablePointer<Value> {
  guard let pointer = unsafe pointer else { throw nullArgument(name) }
  return unsafe pointer
}

/// A text argument.
func text(_ pointer: UnsafePointer<CChar>?, _ name: String) throws(MoEError) -> String {
  guard let text = unsafe try optionalText(pointer, name) else { throw nullArgument(name) }
  return text
}

func optionalText(_ pointer: UnsafePointer<CChar>?, _ name: String) throws(MoEError) -> String? {
  guard let pointer = unsafe pointer else { return nil }
  guard let text = unsafe String(validatingCString: pointer) else {
    throw MoEError(.invalidArgument, "the text is no UTF-8", subject: name)
  }
  return text
}

func nullArgument(_ name: String) -> MoEError {
  MoEError(.invalidArgument, "a pointer is null", subject: name, expected: "a pointer", found: "NULL")
}

/// A structure that begins with its size, as the caller knows it: fields that it doesn't know are 0.
///
/// - Throws: `invalidArgument` for a size of no version, and for fields of a later version that are not 0.
func structure<Value: BitwiseCopyable>(
  _ pointer: UnsafePointer<Value>?, _ name: String
) throws(MoEError) -> Value {
  guard let pointer = unsafe pointer else { throw nullArgument(name) }
  let known = MemoryLayout<Value>.size
  let size = unsafe UnsafeRawPointer(pointer).loadUnaligned(as: Int.self)
  guard (MemoryLayout<Int>.size...1 << 16).contains(size) else {
    throw MoEError(
      .invalidArgument, "struct_size is the size of no version", subject: name, expected: "\(known)", found: "\(size)")
  }
  let bytes = unsafe UnsafeRawBufferPointer(start: pointer, count: size)
  guard unsafe bytes.dropFirst(known).allSatisfy({ $0 == 0 }) else {
    throw MoEError(
      .invalidArgument, "a field of a later version is set", subject: name, expected: "version \(MOE_ABI_VERSION)",
      found: "\(size) bytes instead of \(known)")
  }
  return unsafe withUnsafeTemporaryAllocation(byteCount: known, alignment: MemoryLayout<Value>.alignment) { copy in
    unsafe copy.initializeMemory(as: UInt8.self, repeating: 0)
    unsafe copy.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[..<min(size, known)]))
    return unsafe copy.load(as: Value.self)
  }
}
