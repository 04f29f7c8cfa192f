// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// Elements of a drawing, as they are written. Coordinates are units of about a pixel, from the upper left.
struct Canvas {
  private(set) var body = ""
  private var origin = (x: 0.0, y: 0.0)

  mutating func move(to x: Double, _ y: Double) { origin = (x, y) }

  /// - Parameters:
  ///   - names: classes of the style sheet.
  ///   - tip: what it says when the mouse rests on it.
  ///   - attributes: more of them, as written.
  mutating func rectangle(
    _ x: Double, _ y: Double, _ width: Double, _ height: Double, _ names: String, radius: Double = 0, tip: String = "",
    attributes: String = ""
  ) {
    body +=
      "<rect class=\"\(names)\" x=\"\(at(x + origin.x))\" y=\"\(at(y + origin.y))\" width=\"\(at(max(0, width)))\""
    body += " height=\"\(at(max(0, height)))\""
    if radius > 0 { body += " rx=\"\(at(radius))\"" }
    end("rect", attributes, tip)
  }

  mutating func circle(_ x: Double, _ y: Double, _ radius: Double, _ names: String, tip: String = "") {
    body += "<circle class=\"\(names)\" cx=\"\(at(x + origin.x))\" cy=\"\(at(y + origin.y))\" r=\"\(at(radius))\""
    end("circle", "", tip)
  }

  mutating func line(_ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double, _ names: String) {
    path([(x1, y1), (x2, y2)], names)
  }

  mutating func path(_ points: [(x: Double, y: Double)], _ names: String, isClosed: Bool = false, tip: String = "") {
    guard points.count > 1 else { return }
    let steps = points.map { "\(at($0.x + origin.x)) \(at($0.y + origin.y))" }.joined(separator: "L")
    body += "<path class=\"\(names)\" d=\"M\(steps)\(isClosed ? "Z" : "")\""
    end("path", "", tip)
  }

  /// A curve that leaves and arrives upright.
  mutating func arrow(from: (x: Double, y: Double), to: (x: Double, y: Double), _ names: String, tip: String) {
    let (a, b) = ((x: from.x + origin.x, y: from.y + origin.y), (x: to.x + origin.x, y: to.y + origin.y))
    let middle = (a.y + b.y) / 2
    body +=
      "<path class=\"arrow \(names)\" d=\"M\(at(a.x)) \(at(a.y))C\(at(a.x)) \(at(middle)) \(at(b.x)) \(at(middle))"
    body += " \(at(b.x)) \(at(b.y - 5))\""
    end("path", "", tip)
    let head = [(to.x, to.y), (to.x - 3.5, to.y - 7), (to.x + 3.5, to.y - 7)]
    path(head.map { (x: $0.0, y: $0.1) }, names, isClosed: true)
  }

  mutating func text(_ x: Double, _ y: Double, _ text: String, _ names: String = "") {
    guard !text.isEmpty else { return }
    let names = names.isEmpty ? "" : " class=\"\(names)\""
    body += "<text\(names) x=\"\(at(x + origin.x))\" y=\"\(at(y + origin.y))\">\(text.escaped)</text>\n"
  }

  private mutating func end(_ element: String, _ attributes: String, _ tip: String) {
    if !attributes.isEmpty { body += " " + attributes }
    body += tip.isEmpty ? "/>\n" : "><title>\(tip.escaped)</title></\(element)>\n"
  }

  /// A coordinate, to a tenth.
  private func at(_ value: Double) -> String {
    let tenths = Int((value * 10).rounded())
    let (whole, rest) = (abs(tenths) / 10, abs(tenths) % 10)
    return (tenths < 0 ? "-" : "") + "\(whole)" + (rest == 0 ? "" : ".\(rest)")
  }

  /// About how wide words are, at 12 units of height.
  static func width(of text: String) -> Double { Double(text.count) * 6.4 }
}

extension String {
  /// For the text and the attributes of an element.
  var escaped: String {
    var result = ""
    for character in unicodeScalars {
      switch character {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      // XML has no way to write most control characters.
      case "\n", "\t": result.unicodeScalars.append(character)
      case _ where character.value < 0x20 || character.value == 0x7F: result += "\u{FFFD}"
      default: result.unicodeScalars.append(character)
      }
    }
    return result
  }
}
