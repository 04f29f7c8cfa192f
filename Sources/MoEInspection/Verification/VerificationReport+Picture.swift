// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import MoE
internal import Tensors

extension VerificationReport {
  /// The error map: every expert of every layer by its noise, the suspects outlined, and what happened to them.
  ///
  /// - Parameter title: the checkpoint's name for people.
  public func picture(title: String) -> Picture {
    let count = suspects.count
    var picture = Picture(
      "\(title): \(isFaithful ? "faithful to its original" : "\(count) suspect matrices")",
      "\(architecture), \(Set(layers.map(\.format)).sorted().joined(separator: "; ")) against "
        + Set(layers.map(\.originalFormat)).sorted().joined(separator: "; "))
    picture.legend = [
      .init(.good, "equal"), .init(.level(0.1), "less noise than rounding leaves"),
      .init(.level(0.55), "as much"), .init(.level(0.95), "6 dB more"), .init(.bad, "suspect"),
    ]
    let projections = Projection.allCases.filter { projection in
      matrices.contains { $0.place.projections == [projection] }
    }
    var views = [Figure.View("worst of all", .grid(grid(projections)))]
    if projections.count > 1 { views += projections.map { .init($0.rawValue, .grid(grid([$0]))) } }
    picture.figures = [
      Figure("Noise of layers × experts (S shared experts)", views: views),
      Figure("Signal to noise", .plot(plot(projections))),
    ]
    if !outputs.isEmpty {
      picture.figures.append(Figure("Noise of outputs, layers × tokens", views: [.init("", .grid(outputGrid))]))
    }
    picture.table = table
    return picture
  }

  private func grid(_ projections: [Projection]) -> Grid {
    let shown = matrices.filter { projections.contains($0.place.projections[0]) }
    let byLayer = Dictionary(grouping: shown) { $0.place.layer ?? 0 }
    let hasShared = shown.contains { $0.place.isShared }
    return Grid(
      columnName: "expert", leading: hasShared ? ["S"] : [],
      byLayer.sorted { $0.key < $1.key }.map { layer, matrices in
        let experts = Dictionary(grouping: matrices.filter { !$0.place.isShared }) { $0.place.expert ?? 0 }
        let cells = (0...(experts.keys.max() ?? 0)).map { expert in
          experts[expert].map(Self.cell) ?? Grid.Cell(.outline, "expert \(expert): not compared")
        }
        let shared = matrices.filter { $0.place.isShared }
        return Grid.Row(
          "layer \(layer)", leading: hasShared ? [shared.isEmpty ? nil : Self.cell(shared)] : [],
          experts.isEmpty ? [] : cells)
      })
  }

  private var outputGrid: Grid {
    Grid(
      columnName: "token",
      outputs.map { output in
        Grid.Row(
          "layer \(output.layer)",
          output.tokens.enumerated().map { index, token in
            Grid.Cell(
              token.isSuspect ? .bad : token.relativeError == 0 ? .good : .noise(token.excess),
              "layer \(output.layer), token \(index): \(token.summary)", isFlagged: token.isSuspect)
          })
      })
  }

  /// The worst of some matrices.
  private static func cell(_ matrices: [MatrixVerification]) -> Grid.Cell {
    let worst = matrices.max { a, b in
      (a.flags.isEmpty ? 0 : 1, a.noiseLevel) < (b.flags.isEmpty ? 0 : 1, b.noiseLevel)
    }!
    return Grid.Cell(
      worst.tone, "\(worst.place): \(worst.summary)", isFlagged: !worst.flags.isEmpty, histogram: worst.histogram)
  }

  /// For each layer, the mean of each projection and the worst of all.
  private func plot(_ projections: [Projection]) -> Plot {
    let finite = matrices.filter { $0.decibels.isFinite }
    let byLayer = Dictionary(grouping: finite) { $0.place.layer ?? 0 }.sorted { $0.key < $1.key }
    /// Named beside its last point.
    func series(_ name: String, _ tone: Tone, _ value: ([MatrixVerification]) -> Double?) -> Plot.Series {
      let values = byLayer.compactMap { layer, matrices in value(matrices).map { (layer, $0) } }
      let points = values.enumerated().map { index, value in
        Plot.Point(
          Double(value.0), value.1, label: index == values.count - 1 ? name : "",
          tip: "\(name), layer \(value.0): \(Format.fixed(value.1, 1)) dB")
      }
      return .init(name, tone, .line, points)
    }
    func mean(_ values: [Double]) -> Double? { values.isEmpty ? nil : values.reduce(0, +) / Double(values.count) }
    var all = projections.enumerated().map { index, projection in
      series(projection.rawValue, .series(index)) { matrices in
        mean(matrices.filter { $0.place.projections == [projection] }.map(\.decibels))
      }
    }
    all.append(series("of rounding alone", .quiet) { mean($0.compactMap(\.expectedDecibels).filter(\.isFinite)) })
    all.append(series("worst", .bad) { $0.map(\.decibels).min() })
    return Plot(x: Axis("layer"), y: Axis("dB"), series: all.filter { !$0.points.isEmpty })
  }

  private var table: Picture.Table? {
    let rows = suspects.map { matrix -> (tone: Tone, cells: [String]) in
      (.bad, ["\(matrix.place)", matrix.summary, matrix.diagnosis?.text ?? "not examined"])
    }
    let others = tensors.filter { !$0.isFaithful }.map { tensor -> (tone: Tone, cells: [String]) in
      (.wrong, ["layer \(tensor.layer)", tensor.name, tensor.summary])
    }
    let tokens = outputs.flatMap { output in
      output.tokens.enumerated().filter(\.element.isSuspect).map { index, token -> (tone: Tone, cells: [String]) in
        (.bad, ["layer \(output.layer), token \(index)", token.summary, ""])
      }
    }
    let failures = outputs.filter { !$0.faults.isEmpty }.map { output -> (tone: Tone, cells: [String]) in
      (.bad, ["layer \(output.layer)", output.summary, ""])
    }
    let all = rows + others + tokens + failures
    return all.isEmpty ? nil : Picture.Table(header: ["where", "noise", "what happened"], rows: all)
  }
}

extension Tone {
  /// By dB over the noise of rounding.
  fileprivate static func noise(_ excess: Double?) -> Self { .level(max(0.02, min(0.98, 0.5 + (excess ?? 0) / 12))) }
}

extension MatrixVerification {
  /// Noise over that of rounding, in dB, or over the signal.
  fileprivate var noiseLevel: Double { excess ?? -decibels }

  fileprivate var tone: Tone {
    if !flags.isEmpty { return .bad }
    if isEqual { return .good }
    return .noise(excess)
  }

  /// For people: signal to noise, and how far from what is usual.
  package var summary: String {
    guard !isEqual else { return "equal" }
    guard !flags.contains(.notFinite) else { return "not finite" }
    var text = "\(Format.fixed(decibels, 1)) dB"
    if let expectedDecibels { text += ", \(Format.fixed(expectedDecibels, 1)) of rounding" }
    if let distance, abs(distance) >= 0.05 {
      text += ", \(Format.fixed(abs(distance), 1)) dB \(distance > 0 ? "noisier" : "quieter") than its siblings"
    }
    if let steps { text += ", \(Format.short(steps)) steps at most" }
    return text
  }
}

extension TensorVerification {
  package var summary: String {
    guard let relativeError else { return "not there in the original, or of another size" }
    return relativeError == 0 ? "equal" : "relative error \(Format.scientific(relativeError))"
  }
}

extension OutputVerification {
  /// For people: of all tokens, and the worst.
  package var summary: String {
    guard let worst else { return "could not be run: \(faults.map(\.description).joined(separator: "; "))" }
    return "relative error \(Format.scientific(relativeError)), \(routedAlike) of \(tokens.count) tokens routed alike; "
      + "worst token \(worst): \(tokens[worst].summary)"
  }
}

extension OutputVerification.Token {
  package var summary: String {
    var text = "relative error \(Format.scientific(relativeError))"
    if let excess, excess.isFinite {
      text += ", \(Format.fixed(abs(excess), 1)) dB \(excess < 0 ? "below" : "above") the noise of rounding"
    }
    text += ", experts \(experts.map(String.init).joined(separator: " "))"
    return isRoutedAlike ? text : text + ", routed otherwise"
  }
}
