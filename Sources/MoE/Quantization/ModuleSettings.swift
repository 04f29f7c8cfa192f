// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import Checkpoints
internal import Tensors

/// The settings of the quantisation that hold for one module, with their types checked.
public struct ModuleSettings: Sendable {
  /// `quant_method` in lower case.
  public let method: String?
  public let values: [String: JSONValue]
  public let file: String
  /// The name of the module, e.g. `model.layers.0.mlp.experts.3.up_proj`.
  public let module: String

  public init(method: String?, values: [String: JSONValue], file: String, module: String = "") {
    self.method = method
    self.values = values
    self.file = file
    self.module = module
  }

  /// The value of a key that is present and not null.
  public subscript(key: String) -> JSONValue? {
    guard let value = values[key], !value.isNull else { return nil }
    return value
  }

  public func integer(_ key: String) throws(MoEError) -> Int? {
    guard let value = self[key] else { return nil }
    guard let integer = value.integer else { throw mismatch(key, "a whole number", value) }
    return integer
  }

  public func boolean(_ key: String) throws(MoEError) -> Bool? {
    guard let value = self[key] else { return nil }
    guard let boolean = value.bool else { throw mismatch(key, "true or false", value) }
    return boolean
  }

  public func string(_ key: String) throws(MoEError) -> String? {
    guard let value = self[key] else { return nil }
    guard let string = value.string else { throw mismatch(key, "a string", value) }
    return string
  }

  public func strings(_ key: String) throws(MoEError) -> [String]? {
    guard let value = self[key] else { return nil }
    let strings = value.array?.compactMap(\.string)
    guard let strings, strings.count == value.array?.count else { throw mismatch(key, "a list of strings", value) }
    return strings
  }

  /// A list of two numbers above 0, such as `weight_block_size`.
  public func pair(_ key: String) throws(MoEError) -> (Int, Int)? {
    guard let value = self[key] else { return nil }
    guard let list = value.array, list.count == 2, let first = list[0].integer, let second = list[1].integer,
      first > 0, second > 0, first <= Self.largest, second <= Self.largest
    else { throw mismatch(key, "two whole numbers above 0", value) }
    return (first, second)
  }

  /// A number in a range.
  public func integer(_ key: String, in range: ClosedRange<Int>) throws(MoEError) -> Int? {
    guard let value = try integer(key) else { return nil }
    guard range.contains(value) else { throw mismatch(key, "\(range.lowerBound) to \(range.upperBound)", self[key]!) }
    return value
  }

  /// A group size: −1 (all columns) is nil.
  public func groupSize(_ key: String = "group_size") throws(MoEError) -> Int? {
    guard let value = try integer(key), value != -1 else { return nil }
    guard (1...Self.largest).contains(value) else { throw mismatch(key, "a number above 0, or -1", self[key]!) }
    return value
  }

  /// Greater groups and blocks are no format's.
  static let largest = LayerSpecification.largestSize

  func mismatch(_ key: String, _ expected: String, _ found: JSONValue) -> MoEError {
    MoEError(
      .configuration, "a setting of the quantisation has no meaning", file: file, subject: key, expected: expected,
      found: found.serialized())
  }

  /// The settings below a key, as settings of their own.
  func below(_ key: String) throws(MoEError) -> Self? {
    guard let value = self[key] else { return nil }
    guard let object = value.object else { throw mismatch(key, "an object", value) }
    return Self(method: method, values: object, file: file, module: module)
  }
}
