// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Foundation
import MoE
import TestSupport
import Testing

@testable import MoEInspection

/// What is drawn, as a browser shows it. (`scripts/test` installs Chromium where there is apt.)
@Suite(.enabled(if: Browser.installed != nil, "there is no Chromium: pictures are not looked at"))
struct BrowserTests {
  private let browser = Browser.installed!
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func write(_ text: String, _ name: String) throws -> String {
    try text.write(toFile: folder[name], atomically: true, encoding: .utf8)
    return folder[name]
  }

  /// The rectangles of a class in a drawing, by the text that they say.
  private func rectangles(_ name: String, in document: String) -> [(x: Double, y: Double, width: Double, tip: String)] {
    document.split(separator: "<rect ").compactMap { element in
      func attribute(_ key: String) -> Substring? {
        element.range(of: "\(key)=\"").flatMap { start in
          element[start.upperBound...].firstIndex(of: "\"").map { element[start.upperBound..<$0] }
        }
      }
      guard attribute("class")?.split(separator: " ").contains(Substring(name)) == true,
        let x = attribute("x").flatMap({ Double($0) }), let y = attribute("y").flatMap({ Double($0) }),
        let width = attribute("width").flatMap({ Double($0) })
      else { return nil }
      let tip = element.split(separator: "<title>").dropFirst().first?.split(separator: "</title>").first ?? ""
      return (x, y, width, String(tip))
    }
  }

  /// One expert of one layer has lost a tensor: one cell is red, and it stands where that expert is.
  @Test func completenessMap() throws {
    let picture = try SamplePictures.damaged(in: folder).picture(title: "damaged")
    let page = try write(picture.html, "map.html")
    let document = try browser.document(page)
    let bad = rectangles("bad", in: document).filter { $0.tip.contains("expert 3") }
    #expect(bad.count == 1 && bad[0].tip.contains("tensors missing"))
    #expect(document.contains("<td><i class=\"bad\"></i>error</td>"))

    let path = try write(picture.svg, "map.svg")
    let screen = try browser.screenshot(of: path, width: 980, height: 260)
    let cell = try #require(rectangles("bad", in: picture.svg).last)
    let red = try #require(screen.colors["#d22f3a"])
    #expect(
      red.x.contains(Int(cell.x) + 3) && red.y.contains(Int(cell.y) + 5) && red.y.upperBound > red.y.lowerBound + 8)
    #expect(screen.colors["#c3ccd5"] != nil, "complete experts whose values were not read are grey")
  }

  /// The hot expert is the hottest colour at its place; in the dark, the ground is dark.
  @Test func loadHeatmap() throws {
    let picture = SamplePictures.loads
    let document = try browser.document(try write(picture.html, "loads.html"))
    let hot = rectangles("d16", in: document).filter { $0.tip.contains("layer 3, expert 5") }
    #expect(hot.count == 2, "in both views")
    #expect(rectangles("quiet", in: document).count == 2 * 8 + 1, "expert 9 of each layer, and the legend")
    let path = try write(picture.svg, "loads.svg")
    let cell = try #require(rectangles("d16", in: picture.svg).last)
    let bright = try browser.screenshot(of: path, width: 980, height: 700)
    let area = try #require(bright.colors["#c22b30"])
    #expect(area.x.contains(Int(cell.x + cell.width / 2)) && area.y.contains(Int(cell.y) + 8))
    #expect(bright.colors["#ffffff"]!.count > 100_000)
    let dark = try browser.screenshot(of: path, width: 980, height: 700, isDark: true)
    #expect(dark.colors["#11161d"]!.count > 100_000 && dark.colors["#ff6a5c"] != nil)
  }

  /// Bars are as high as their numbers.
  @Test func rankBars() throws {
    let picture = Picture.rankLoads("Ranks", before: [100, 300], after: [200, 200])
    let screen = try browser.screenshot(of: try write(picture.svg, "ranks.svg"), width: 980, height: 420)
    let (before, after) = (try #require(screen.colors["#c3ccd5"]), try #require(screen.colors["#2f6fdb"]))
    // The legend stands above; the greatest bar is 300 high, and the others 200 and 100 of that.
    let bars = rectangles("s0", in: picture.svg).dropFirst() + rectangles("quiet", in: picture.svg).dropFirst()
    #expect(bars.count == 4 && Set(bars.map(\.tip)).count == 4)
    #expect(before.y.upperBound == after.y.upperBound, "all bars stand on one line")
    #expect(Double(before.count) / Double(after.count) > 0.9 && Double(before.count) / Double(after.count) < 1.1)
  }

  /// The damaged expert is outlined, and its histogram is open before anything is clicked.
  @Test func errorMap() throws {
    let original = VerificationCase(.gaussian)
    var damaged = original
    damaged.values[VerificationCase.victim][.up] = damaged.values[VerificationCase.victim][.up]!.map { $0 * 2 }
    let (first, second) = (try TemporaryFolder(), try TemporaryFolder())
    let report = try CheckpointVerification(hasHistograms: true).run(
      on: damaged.write(to: first, as: .f16), against: original.write(to: second, as: .bf16))
    let page = try write(report.picture(title: "damaged").html, "errors.html")
    let document = try browser.document(page)
    let bad = rectangles("flag", in: document)
    #expect(bad.count == 2 && bad.allSatisfy { $0.tip.contains("expert 5, up") }, "in the view of all and of up")
    #expect(document.contains("<figcaption>layer 0, expert 5, up: weights of the original"))
    #expect(document.contains("class=\"line s1\"") && document.contains("all weights are multiplied by 2"))
    let screen = try browser.screenshot(of: page, width: 1060, height: 900)
    let cell = try #require(screen.colors["#d22f3a"])
    #expect(cell.count > 200, "the suspect is red")
    #expect(screen.colors["#e67e22"]!.count > 100, "the line of the histogram")
  }

  /// Two ranks, a block that is cut between them, and the padding of one.
  @Test func shards() throws {
    let document = try browser.document(try write(SamplePictures.shards.html, "shards.html"))
    #expect(rectangles("caution", in: document).count == 2 && rectangles("quiet", in: document).count == 1)
    let (one, two) = (rectangles("s0", in: document)[0], rectangles("s1", in: document)[0])
    #expect(abs(one.width - two.width) < 2 && two.x > one.x + one.width - 2)
  }

  @Test func placement() throws {
    let document = try browser.document(try write(SamplePictures.placement.html, "placement.html"))
    #expect(document.components(separatedBy: "class=\"arrow bad\"").count == 2, "one move between nodes")
    #expect(document.components(separatedBy: "class=\"arrow quiet\"").count == 2, "one move within a node")
    let changed = rectangles("flag", in: document)
    #expect(changed.map(\.tip).contains("slot 20 of rank 6: expert 1, was expert 4"))
    #expect(changed.count == 2)
  }
}
