// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import Tensors

/// Everything that is wrong with a checkpoint, as far as it could be understood.
///
/// ```swift
/// do {
///   let checkpoint = try Checkpoint(opening: "/models/mixtral")
/// } catch {
///   print(error)  // one line per fault: file: tensor: what: expected …, found …; what would work
/// }
/// ```
public struct CheckpointError: Error, Sendable, Hashable {
  /// At least one.
  public let faults: [Fault]

  public init(_ faults: [Fault]) {
    precondition(!faults.isEmpty, "an error has at least one fault")
    self.faults = faults
  }

  public init(_ fault: Fault) { faults = [fault] }

  /// Whether one of the faults is of this kind.
  public func contains(_ code: Fault.Code) -> Bool { faults.contains { $0.code == code } }
}

extension CheckpointError: CustomStringConvertible {
  public var description: String { faults.map(\.description).joined(separator: "\n") }
}

extension Fault.Code {
  /// A file or folder cannot be opened or read.
  public static let unreadable = Fault.Code(rawValue: "unreadable")
  /// A file cannot be created or written.
  public static let unwritable = Fault.Code(rawValue: "unwritable")
  /// A file is no longer what it was when it was opened.
  public static let fileChanged = Fault.Code(rawValue: "fileChanged")
  /// A name in an index points out of the checkpoint's folder.
  public static let escapesFolder = Fault.Code(rawValue: "escapesFolder")

  /// A text is no JSON.
  public static let malformedJSON = Fault.Code(rawValue: "malformedJSON")
  /// A text is no UTF-8.
  public static let invalidUTF8 = Fault.Code(rawValue: "invalidUTF8")
  /// An object holds a key twice.
  public static let duplicateKey = Fault.Code(rawValue: "duplicateKey")

  /// A safetensors header breaks the rules of the format.
  public static let malformedHeader = Fault.Code(rawValue: "malformedHeader")
  /// The name of a tensor is empty, too long or holds control characters.
  public static let invalidName = Fault.Code(rawValue: "invalidName")
  /// The data of tensors overlap, leave a hole or end elsewhere than the file.
  public static let invalidOffset = Fault.Code(rawValue: "invalidOffset")
  /// The size of a tensor overflows.
  public static let shapeOverflow = Fault.Code(rawValue: "shapeOverflow")
  /// A `dtype` that this package does not know.
  public static let unknownElementType = Fault.Code(rawValue: "unknownElementType")
  /// The bytes of a tensor are not those of its shape and type.
  public static let sizeMismatch = Fault.Code(rawValue: "sizeMismatch")

  /// The metadata of a GGUF file lack what nothing can be understood without, or it has no meaning.
  public static let metadata = Fault.Code(rawValue: "metadata")

  /// The index of a sharded checkpoint breaks the rules of the format.
  public static let malformedIndex = Fault.Code(rawValue: "malformedIndex")
  /// A file of a set is absent.
  public static let missingShard = Fault.Code(rawValue: "missingShard")
  /// A tensor is in two files.
  public static let duplicateTensor = Fault.Code(rawValue: "duplicateTensor")
  /// A tensor is not where it has to be.
  public static let missingTensor = Fault.Code(rawValue: "missingTensor")
  /// A tensor is in a file but not in the index.
  public static let unlistedTensor = Fault.Code(rawValue: "unlistedTensor")
  /// Several files could be the checkpoint.
  public static let ambiguous = Fault.Code(rawValue: "ambiguous")

  /// A Python pickle, which can run code when it is read.
  public static let pickle = Fault.Code(rawValue: "pickle")
  /// A Git LFS pointer in the place of the file.
  public static let lfsPointer = Fault.Code(rawValue: "lfsPointer")
  /// Right by itself, but nothing this version reads.
  public static let unsupported = Fault.Code(rawValue: "unsupported")
  /// More than a stated limit.
  public static let tooLarge = Fault.Code(rawValue: "tooLarge")
  /// A tensor was written twice.
  public static let writtenTwice = Fault.Code(rawValue: "writtenTwice")
}
