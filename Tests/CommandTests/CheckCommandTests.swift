// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import Foundation
import MoE
import Testing

/// `moe check` on checkpoints that are whole, and on one that isn't.
@Suite struct CheckCommandTests {
  @Test(arguments: [[], ["--headers"], ["--layers", "1"], ["--threads", "1"]])
  func whole(options: [String]) throws {
    let run = try Command(["check", Fixtures.path("arch_deepseek_v3"), "--json"] + options)
    #expect(run.status == 0, "\(run.errors)")
    let object = try run.json()
    #expect(object["command"]?.string == "check" && object["whole"]?.bool == true)
    #expect(object["errors"]?.integer == 0 && object["layers"]?.array?.first?["experts"]?.integer == 16)
    #expect((object["weights"]?.integer == 0) == options.contains("--headers"))
  }

  @Test func broken() throws {
    try withTemporaryFolder { folder in
      let source = Fixtures.path("arch_deepseek_v3")
      try FileManager.default.copyItem(atPath: source + "/config.json", toPath: folder + "/config.json")
      let catalog = try TensorCatalog(opening: source + "/model.safetensors")
      let lost = "model.layers.1.mlp.experts.3.up_proj.weight"
      try SafetensorsFile.write(
        tensors: catalog.records.filter { $0.name != lost }.map {
          (TensorDeclaration($0.name, $0.elementType, $0.shape), bytes: try catalog.bytes(of: $0))
        }, to: folder + "/model.safetensors")

      let run = try Command(["check", folder, "--json", "--html", folder + "/map.html"])
      #expect(run.status == 1)
      let finding = try #require(try run.json()["findings"]?.array?.first)
      #expect(finding["severity"]?.string == "error" && finding["code"]?.string == "missingTensor")
      #expect(finding["layer"]?.integer == 1 && finding["expert"]?.integer == 3)
      #expect(finding["projections"]?.array?.map(\.string) == ["up"] && finding["tensor"]?.string == lost)
      let text = try Command(["check", folder])
      #expect(text.status == 1 && text.output.contains(lost) && text.output.contains("NOT whole: 1 error,"))

      let page = try String(contentsOfFile: folder + "/map.html", encoding: .utf8)
      #expect(page.contains("layer 1, expert 3: tensors missing") && page.contains("layer 1, expert 15: there"))
      #expect(!page.contains("<script") && !page.contains("src="))
    }
  }

  @Test func nothingThere() throws {
    let run = try Command(["check", "/nonexistent"])
    #expect(run.status == 1 && run.output.contains("cannot open"))
    #expect(try Command(["check", "/nonexistent", "--layers", "x"]).status == 64)
  }
}
