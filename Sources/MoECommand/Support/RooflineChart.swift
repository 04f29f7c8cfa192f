// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Glibc
import MoE

/// Speed over arithmetic intensity on two logarithmic axes, below the roof of the machine: a self-contained SVG.
///
/// After Williams, Waterman and Patterson, "Roofline: an insightful visual performance model", CACM 52(4), 2009.
struct RooflineChart {
  private let report: BenchReport
  private let intensity: ClosedRange<Double>
  private let speed: ClosedRange<Double>

  private static let (width, height, margin) = (760.0, 460.0, 70.0)

  init(_ report: BenchReport) {
    self.report = report
    let ridge = report.ceilings.operationsPerSecond / report.ceilings.bytesPerSecond
    let intensities = report.rows.map { Double($0.work.operations) / Double($0.work.bytes) }
    intensity = min(intensities.min()!, ridge) / 2...max(intensities.max()!, ridge) * 4
    let speeds = report.rows.map { Double($0.work.operations) / $0.minimum }
    speed = speeds.min()! / 3...report.ceilings.operationsPerSecond * 2
  }

  var svg: String {
    let ceilings = report.ceilings
    let ridge = ceilings.operationsPerSecond / ceilings.bytesPerSecond
    let roof = [
      (intensity.lowerBound, intensity.lowerBound * ceilings.bytesPerSecond), (ridge, ceilings.operationsPerSecond),
      (intensity.upperBound, ceilings.operationsPerSecond),
    ].map { point($0.0, $0.1) }.map { "\(coordinate($0.x)),\(coordinate($0.y))" }.joined(separator: " ")
    var body = grid()
    body += "<polyline points=\"\(roof)\" fill=\"none\" stroke=\"#444\" stroke-width=\"2\"/>\n"
    body += label(
      Self.width - Self.margin, point(ridge, ceilings.operationsPerSecond).y - 8,
      "\(Format.short(ceilings.operationsPerSecond / 1e9)) GFLOP/s fp32", anchor: "end")
    for row in report.rows {
      let speed = Double(row.work.operations) / row.minimum
      let (x, y) = point(Double(row.work.operations) / Double(row.work.bytes), speed)
      let share = Format.fixed(100 * row.work.floor(ceilings) / row.minimum, 0)
      body += "<circle cx=\"\(coordinate(x))\" cy=\"\(coordinate(y))\" r=\"5\" fill=\"#c8322b\"/>\n"
      body += label(x + 9, y + 14, "T = \(row.tokenCount): \(share) % of ceiling")
    }
    body += label(
      Self.margin, 28, "\(report.shape.description) \(report.typeName), \(report.threads) thread(s), \(Processor.model)"
    )
    body += label(
      Self.margin, 46,
      "memory read \(Format.rate(ceilings.bytesPerSecond)); horizontal: FLOP per byte, vertical: GFLOP/s")
    return """
      <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(coordinate(Self.width)) \(coordinate(Self.height))" \
      font-family="sans-serif" font-size="12">
      <rect width="100%" height="100%" fill="#fff"/>
      \(body)</svg>

      """
  }

  /// Lines at powers of ten.
  private func grid() -> String {
    var lines = ""
    for power in powers(intensity) {
      let x = point(power, speed.lowerBound).x
      lines += line(x, Self.margin, x, Self.height - Self.margin)
      lines += label(x, Self.height - Self.margin + 18, Format.short(power), anchor: "middle")
    }
    for power in powers(speed) {
      let y = point(intensity.lowerBound, power).y
      lines += line(Self.margin, y, Self.width - Self.margin, y)
      lines += label(Self.margin - 8, y + 4, Format.short(power / 1e9), anchor: "end")
    }
    return lines
  }

  private func powers(_ range: ClosedRange<Double>) -> [Double] {
    let exponents = Int(log10(range.lowerBound).rounded(.up))...Int(log10(range.upperBound).rounded(.down))
    return exponents.map { pow(10, Double($0)) }
  }

  private func point(_ intensity: Double, _ speed: Double) -> (x: Double, y: Double) {
    func position(_ value: Double, _ range: ClosedRange<Double>) -> Double {
      log(value / range.lowerBound) / log(range.upperBound / range.lowerBound)
    }
    return (
      Self.margin + position(intensity, self.intensity) * (Self.width - 2 * Self.margin),
      Self.height - Self.margin - position(speed, self.speed) * (Self.height - 2 * Self.margin)
    )
  }

  private func line(_ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double) -> String {
    "<path d=\"M\(coordinate(x1)) \(coordinate(y1)) L\(coordinate(x2)) \(coordinate(y2))\" stroke=\"#e4e4e4\"/>\n"
  }

  private func label(_ x: Double, _ y: Double, _ text: String, anchor: String = "start") -> String {
    let escaped = text.replacing("&", with: "&amp;").replacing("<", with: "&lt;")
    return "<text x=\"\(coordinate(x))\" y=\"\(coordinate(y))\" text-anchor=\"\(anchor)\">\(escaped)</text>\n"
  }

  private func coordinate(_ value: Double) -> String { Format.fixed(value, 1) }
}
