// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// Colours of tones and words, in light and dark.
enum StyleSheet {
  /// For the root of a document, which may be a drawing by itself.
  static let text: String = {
    let light = declarations(\.light)
    let dark = declarations(\.dark)
    let classes = colors.filter { !$0.isWord }.map { ".\($0.name){fill:var(--\($0.name))}" }.joined()
    let strokes = (["good", "bad", "caution", "quiet"] + (0..<Tone.seriesCount).map { "s\($0)" })
      .map { ".line.\($0),.arrow.\($0){stroke:var(--\($0))}" }.joined()
    return """
      :root{color-scheme:light dark;\(light)}
      @media(prefers-color-scheme:dark){:root{\(dark)}}
      svg{font:12px system-ui,"Segoe UI",Roboto,"DejaVu Sans",Helvetica,Arial,sans-serif}
      .ground{fill:var(--ground)}text{fill:var(--ink)}
      .title{font-size:18px;font-weight:600}.heading{font-size:13px;font-weight:600}.soft{fill:var(--soft)}
      .small{font-size:10px}.end{text-anchor:end}.middle{text-anchor:middle}
      \(classes)
      .line,.arrow{fill:none;stroke-width:2;stroke-linejoin:round}.arrow{stroke-width:1.5;opacity:.8}\(strokes)
      .area{opacity:.22}.rule{stroke:var(--rule);stroke-width:1}.axis{stroke:var(--soft);stroke-width:1}
      .limit{stroke:var(--ink);stroke-width:1.2;stroke-dasharray:5 4;fill:none}
      .outline{fill:none;stroke:var(--soft);stroke-width:1}
      .flag{stroke:var(--ink);stroke-width:1.6}.on{fill:var(--on)}.point{stroke:var(--ground);stroke-width:1.5}
      """
  }()

  private struct Color {
    var name: String
    var light: String
    var dark: String
    /// Words and lines have rules of their own.
    var isWord = false
  }

  private static func declarations(_ side: (Color) -> String) -> String {
    colors.map { "--\($0.name):\(side($0))" }.joined(separator: ";")
  }

  private static let colors: [Color] =
    [
      Color(name: "ground", light: "#ffffff", dark: "#11161d", isWord: true),
      Color(name: "ink", light: "#1c2530", dark: "#e4e9ef", isWord: true),
      Color(name: "soft", light: "#64707d", dark: "#93a0ae", isWord: true),
      Color(name: "on", light: "#ffffff", dark: "#0d1218", isWord: true),
      Color(name: "rule", light: "#e5e9ee", dark: "#28313c", isWord: true),
      Color(name: "good", light: "#3fa66b", dark: "#3c9c68"),
      Color(name: "quiet", light: "#c3ccd5", dark: "#465260"),
      Color(name: "caution", light: "#e9b12f", dark: "#dca52b"),
      Color(name: "values", light: "#a04fb0", dark: "#b768c6"),
      Color(name: "wrong", light: "#e57a2c", dark: "#e98640"),
      Color(name: "bad", light: "#d22f3a", dark: "#f0505a"),
    ]
    + zip(seriesLight, seriesDark).enumerated().map { number, pair in
      Color(name: "s\(number)", light: pair.0, dark: pair.1)
    }
    + (0..<Tone.levelCount).map { step in
      let share = Double(step) / Double(Tone.levelCount - 1)
      return Color(name: "l\(step)", light: mixed(levelsLight, share), dark: mixed(levelsDark, share))
    }
    + (0..<Tone.deviationCount).map { step in
      let share = Double(step) / Double(Tone.deviationCount - 1)
      return Color(name: "d\(step)", light: mixed(deviationsLight, share), dark: mixed(deviationsDark, share))
    }

  private static let seriesLight = [
    "#2f6fdb", "#e67e22", "#2c9c69", "#8a55c8", "#d6447c", "#1596a6", "#b8930f", "#6b7a89", "#7f4f2a", "#5b8c12",
    "#3f51a3", "#c05b9d",
  ]
  private static let seriesDark = [
    "#6aa3ff", "#f29a4b", "#52c48d", "#b28ae6", "#f27aa6", "#4cc3d1", "#dcbb45", "#9aa8b6", "#c08d63", "#96c54b",
    "#8b9bea", "#e491c6",
  ]
  private static let levelsLight = [0xEDF3F8, 0xB5D4EC, 0x5EA3D8, 0x2467AE, 0x0B2F6B]
  private static let levelsDark = [0x1A222C, 0x1F3F66, 0x2A6DB0, 0x64AEE8, 0xD3ECFF]
  private static let deviationsLight = [0x1B5FAA, 0x7DB3E0, 0xEEF1F4, 0xF2A07B, 0xC22B30]
  private static let deviationsDark = [0x5AA9F5, 0x2B5C90, 0x222B35, 0x9A4A38, 0xFF6A5C]

  /// The colour at `share` of the way over the stops.
  private static func mixed(_ stops: [Int], _ share: Double) -> String {
    let place = share * Double(stops.count - 1)
    let index = min(Int(place), stops.count - 2)
    let rest = place - Double(index)
    let digits = [16, 8, 0].map { shift -> String in
      let (a, b) = (Double(stops[index] >> shift & 255), Double(stops[index + 1] >> shift & 255))
      let text = String(Int((a + (b - a) * rest).rounded()), radix: 16)
      return text.count == 1 ? "0" + text : text
    }
    return "#" + digits.joined()
  }
}
