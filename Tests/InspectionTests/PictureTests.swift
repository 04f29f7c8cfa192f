// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Foundation
import MoEInspection
import Testing

@Suite struct PictureTests {
  @Test(arguments: SamplePictures.all.indices) func drawn(index: Int) throws {
    let (name, picture) = SamplePictures.all[index]
    #expect(picture.text().split(separator: "\n").count > 5)
    guard let folder = ProcessInfo.processInfo.environment["MOE_PICTURES"], !folder.isEmpty else { return }
    for (ending, text) in [("svg", picture.svg), ("html", picture.html), ("txt", picture.text())] {
      try text.write(toFile: "\(folder)/\(name).\(ending)", atomically: true, encoding: .utf8)
    }
  }

  /// Each picture by itself: no script in an image, and nothing that is fetched.
  @Test(arguments: SamplePictures.all.indices) func selfContained(index: Int) throws {
    let (name, picture) = SamplePictures.all[index]
    #expect(!picture.svg.contains("<script"), "\(name)")
    for text in [picture.svg, picture.html] {
      #expect(!text.contains("src=") && !text.contains("href=") && !text.contains("url("), "\(name)")
      #expect(!text.contains("nan") && !text.contains("inf\""), "\(name)")
    }
  }
}
