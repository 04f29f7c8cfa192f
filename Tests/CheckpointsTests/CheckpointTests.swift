// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import Foundation
import Tensors
import TestSupport
import Testing

@Suite struct CheckpointTests {
  @Test func tensorsAndConfiguration() throws {
    let folder = try TemporaryFolder()
    try folder.writeTensors(["a"], "model.safetensors")
    try folder.write(#"{"num_local_experts": 8, "time_step_limit": [0.0, Infinity]}"#, "config.json")
    for path in [folder.path, folder.path + "/", folder["model.safetensors"]] {
      let checkpoint = try Checkpoint(opening: path)
      #expect(checkpoint.configuration["num_local_experts"]?.integer == 8)
      #expect(checkpoint.catalog.records.count == 1)
      #expect(checkpoint.path == path)
    }
    #expect(try Checkpoint(opening: folder.path + "/").name == (folder.path as NSString).lastPathComponent)
  }

  @Test func withoutConfiguration() throws {
    let folder = try TemporaryFolder()
    try folder.writeTensors(["a"], "model.safetensors")
    expectFaults([.unreadable], "no config.json (No such file or directory)", "download it") {
      _ = try Checkpoint(opening: folder.path)
    }
  }

  @Test(arguments: [
    ("[]", Fault.Code.malformedJSON, "expected an object, found an array"),
    ("{\"a\":1,\"a\":2}", .duplicateKey, "\"a\" stands twice"),
    ("{\"a\": }", .malformedJSON, "config.json: byte 6"), ("", .malformedJSON, "found the end of the text"),
  ])
  func brokenConfiguration(text: String, code: Fault.Code, fragment: String) throws {
    let folder = try TemporaryFolder()
    try folder.writeTensors(["a"], "model.safetensors")
    try folder.write(text, "config.json")
    expectFaults([code], fragment) { _ = try Checkpoint(opening: folder.path) }
  }

  /// Faults of the tensors and of the configuration come together; an absent folder is one fault, not two.
  @Test func faultsOfBoth() throws {
    let folder = try TemporaryFolder()
    try folder.write("x", "model.safetensors")
    expectFaults([.malformedHeader, .unreadable]) { _ = try Checkpoint(opening: folder.path) }
    expectFaults([.unreadable]) { _ = try Checkpoint(opening: folder["absent"]) }
  }
}
