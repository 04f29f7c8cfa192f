// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import MoE
internal import Synchronization

/// What the program holds: handles are places in a table and how often each was used, not addresses, so that one that
/// was freed or never given is found out.
final class HandleTable: Sendable {
  static let shared = HandleTable()

  private struct Entry {
    /// Goes up when the place is freed.
    var generation = 1
    var object: (any HandleObject)?
  }

  private struct Table {
    var entries: [Entry] = []
    var free: [Int] = []
  }

  private let table = Mutex(Table())

  func insert(_ object: any HandleObject) -> OpaquePointer {
    let value = table.withLock { table in
      if table.free.isEmpty {
        table.free.append(table.entries.count)
        table.entries.append(Entry())
      }
      let index = table.free.removeLast()
      table.entries[index].object = object
      return table.entries[index].generation << 32 | (index + 1)
    }
    return unsafe OpaquePointer(bitPattern: value)!
  }

  /// - Throws: `invalidHandle`.
  func find<Object: HandleObject>(_ handle: OpaquePointer?, as type: Object.Type) throws(MoEError) -> Object {
    try unsafe resolve(handle, as: type, isFreed: false)
  }

  /// Frees a handle; its object lives as long as a call uses it.
  ///
  /// - Throws: `invalidHandle`.
  @discardableResult
  func remove<Object: HandleObject>(_ handle: OpaquePointer?, as type: Object.Type) throws(MoEError) -> Object {
    try unsafe resolve(handle, as: type, isFreed: true)
  }

  private func resolve<Object: HandleObject>(
    _ handle: OpaquePointer?, as type: Object.Type, isFreed: Bool
  ) throws(MoEError) -> Object {
    guard let handle = unsafe handle else { throw Self.invalid(type, "NULL") }
    let value = UInt(bitPattern: handle)
    let (generation, index) = (Int(value >> 32), Int(value & 0xFFFF_FFFF) - 1)
    let found = table.withLock { table -> Result<Object, MoEError> in
      guard table.entries.indices.contains(index), table.entries[index].generation == generation,
        let object = table.entries[index].object
      else { return .failure(Self.invalid(type, "one that was freed or never given")) }
      guard let match = object as? Object else {
        return .failure(Self.invalid(type, "a \(Swift.type(of: object).kind)"))
      }
      if isFreed {
        table.entries[index].object = nil
        table.entries[index].generation += 1
        table.free.append(index)
      }
      return .success(match)
    }
    return try found.get()
  }

  private static func invalid<Object: HandleObject>(_ type: Object.Type, _ found: String) -> MoEError {
    MoEError(.invalidHandle, "no such handle", expected: "a \(type.kind)", found: found)
  }
}

/// What a handle can stand for.
protocol HandleObject: AnyObject, Sendable {
  /// For messages.
  static var kind: String { get }
}
