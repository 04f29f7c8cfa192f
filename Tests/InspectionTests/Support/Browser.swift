// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import Foundation
import TestSupport
import Testing

/// Chromium without a window: what a reader of a picture sees.
struct Browser {
  private let executable: URL

  /// The one that is installed; nil where there is none.
  static let installed: Self? = {
    let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").map(String.init)
    for name in ["chromium", "chromium-browser", "google-chrome"] {
      for folder in folders where FileManager.default.isExecutableFile(atPath: "\(folder)/\(name)") {
        return Self(executable: URL(filePath: "\(folder)/\(name)"))
      }
    }
    return nil
  }()

  /// What is on the screen.
  struct Screenshot {
    /// Where each colour, `#rrggbb`, is, and on how many pixels.
    var colors: [String: Area]

    struct Area {
      var count: Int
      var x: ClosedRange<Int>
      var y: ClosedRange<Int>
    }
  }

  /// The document as it is after its scripts have run.
  func document(_ path: String) throws -> String {
    try run(["--dump-dom", URL(filePath: path).absoluteString])
  }

  func screenshot(of path: String, width: Int, height: Int, isDark: Bool = false) throws -> Screenshot {
    let image = path + (isDark ? ".dark" : "") + ".png"
    _ = try run(
      [
        "--window-size=\(width),\(height)", "--force-device-scale-factor=1", "--screenshot=\(image)",
        "--blink-settings=preferredColorScheme=\(isDark ? 0 : 1)", URL(filePath: path).absoluteString,
      ])
    // A page that has the image in it may read its pixels.
    let page = path + ".pixels.html"
    let data = try Data(contentsOf: URL(filePath: image)).base64EncodedString()
    try Self.reader.replacing("DATA", with: data).write(toFile: page, atomically: true, encoding: .utf8)
    let dump = try run(["--virtual-time-budget=5000", "--dump-dom", URL(filePath: page).absoluteString])
    let text = try #require(dump.split(separator: "<pre>").last?.split(separator: "</pre>").first)
    let object = try #require(try JSONValue(parsing: Array(text.utf8), file: "pixels").object)
    return Screenshot(
      colors: object.mapValues { value in
        let numbers = value.array!.map { $0.integer! }
        return .init(count: numbers[0], x: numbers[1]...numbers[2], y: numbers[3]...numbers[4])
      })
  }

  private static let reader = """
    <!doctype html><img src="data:image/png;base64,DATA"><pre></pre><script>
    const image = document.querySelector("img");
    image.onload = () => {
      const canvas = document.createElement("canvas"), {width, height} = image;
      [canvas.width, canvas.height] = [width, height];
      const context = canvas.getContext("2d");
      context.drawImage(image, 0, 0);
      const pixels = context.getImageData(0, 0, width, height).data, found = {};
      for (let y = 0, at = 0; y < height; y++) for (let x = 0; x < width; x++, at += 4) {
        const name = "#" + (1 << 24 | pixels[at] << 16 | pixels[at + 1] << 8 | pixels[at + 2]).toString(16).slice(1);
        const area = found[name] ??= [0, x, x, y, y];
        area[0]++; area[1] = Math.min(area[1], x); area[2] = Math.max(area[2], x); area[4] = y;
      }
      document.querySelector("pre").textContent =
        JSON.stringify(Object.fromEntries(Object.entries(found).filter(([, area]) => area[0] > 8)));
    };
    </script>
    """

  private func run(_ arguments: [String]) throws -> String {
    let folder = try TemporaryFolder()
    let output = folder["out"]
    #expect(FileManager.default.createFile(atPath: output, contents: nil))
    let process = Process()
    process.executableURL = executable
    process.arguments =
      [
        "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
        "--user-data-dir=\(folder["profile"])",
      ] + arguments
    process.standardOutput = FileHandle(forWritingAtPath: output)
    process.standardError = FileHandle.nullDevice
    try process.run()
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)
    return try String(contentsOfFile: output, encoding: .utf8)
  }
}
