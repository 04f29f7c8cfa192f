// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// How numbers are spread, for one or two sets of them: opens on a click in a page.
public struct Histogram: Sendable, Hashable {
  /// What is counted.
  public var caption: String
  /// The numbers that the bins begin and end with.
  public var range: ClosedRange<Float>
  /// For each set, the count of each bin.
  public var counts: [[Int]]

  public init(_ caption: String, _ range: ClosedRange<Float>, _ counts: [[Int]]) {
    self.caption = caption
    self.range = range
    self.counts = counts
  }

  private static let digits = Array("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")

  private func end(_ value: Float) -> String { Axis.Unit.number.text(Double(value)) }

  /// A character for each bin: a page may have a hundred thousand of them. The height is the square root of the count,
  /// so that tails are seen.
  var attributes: String {
    let greatest = Double(counts.joined().max() ?? 0)
    let sets = counts.map { set in
      String(
        set.map { count in
          Self.digits[greatest > 0 ? Int((Double(count) / greatest).squareRoot() * Double(Self.digits.count - 1)) : 0]
        })
    }
    return "data-h=\"\(sets.joined(separator: ","))\" data-r=\"\(end(range.lowerBound)),\(end(range.upperBound))\" "
      + "data-c=\"\(caption.escaped)\" tabindex=\"0\""
  }
}

extension Figure.Content {
  /// The place where a page draws histograms of a grid that has some, with the first flagged one to begin with.
  var histogram: String? {
    guard case .grid(let grid) = self, grid.rows.contains(where: { $0.cells.contains { $0.histogram != nil } }) else {
      return nil
    }
    return """
      <figure class="histogram" aria-live="polite"><figcaption></figcaption>
      <svg viewBox="0 0 640 190" width="640" height="190"></svg></figure>

      """
  }
}

extension Picture {
  /// Draws the histogram of the cell that was clicked, or reached by the keyboard.
  static let script = """
    <style>.histogram{margin:14px 0 0}figcaption{font-size:13px;min-height:20px}</style>
    <script>
    "use strict";
    const digits = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    function show(cell) {
      const view = cell.closest(".view"), panel = view.querySelector(".histogram");
      view.querySelectorAll(".picked").forEach(other => other.classList.remove("picked"));
      cell.classList.add("picked");
      panel.querySelector("figcaption").textContent = cell.dataset.c;
      const sets = cell.dataset.h.split(","), [low, high] = cell.dataset.r.split(",");
      let marks = "";
      sets.forEach((set, number) => {
        const width = 600 / set.length;
        let path = "M20 160";
        [...set].forEach((digit, bin) => {
          const y = 160 - digits.indexOf(digit) * 2.3;
          path += `L${20 + bin * width} ${y}L${20 + (bin + 1) * width} ${y}`;
        });
        marks += `<path class="s${number} area" d="${path}L620 160Z"/><path class="line s${number}" d="${path}L620 160"/>`;
      });
      marks += `<line class="axis" x1="20" y1="160" x2="620" y2="160"/><text class="small soft" x="20" y="176">${low}</text>`
        + `<text class="small soft end" x="620" y="176">${high}</text><text class="small soft middle" x="320" y="176">`
        + `height: square root of the count</text>`;
      panel.querySelector("svg").innerHTML = marks;
    }
    document.querySelectorAll("[data-h]").forEach(cell => {
      cell.addEventListener("click", () => show(cell));
      cell.addEventListener("keydown", event => { if (event.key === "Enter") show(cell); });
    });
    document.querySelectorAll(".view").forEach(view => {
      const first = view.querySelector(".flag[data-h]") || view.querySelector("[data-h]");
      if (first) show(first);
    });
    </script>

    """
}
