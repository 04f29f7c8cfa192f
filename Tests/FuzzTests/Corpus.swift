// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Foundation

/// The stored inputs of the targets.
enum Corpus {
  private static let folder = URL(filePath: #filePath).deletingLastPathComponent()
    .appending(path: "../FuzzTargets/Corpus").standardized

  /// In the order of their names.
  static func inputs(of target: String) -> [(name: String, bytes: [UInt8])] {
    let folder = folder.appending(path: target).path()
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder))?.sorted() ?? []
    return names.map { ($0, [UInt8](FileManager.default.contents(atPath: folder + "/" + $0) ?? Data())) }
  }

  static func input(_ target: String, _ name: String) -> [UInt8] {
    inputs(of: target).first { $0.name == name }?.bytes ?? []
  }
}
