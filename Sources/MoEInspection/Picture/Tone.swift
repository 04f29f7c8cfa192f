// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// What a mark looks like, by what it means; the same in every picture, and readable on light and dark ground.
public enum Tone: Sendable, Hashable {
  /// As it should be.
  case good
  /// There, and nothing to say about it.
  case quiet
  case caution
  /// Numbers that can't be.
  case values
  case wrong
  case bad
  /// One of several things of equal rank, by number.
  case series(Int)
  /// Little to much, 0...1.
  case level(Double)
  /// Below to above what is usual, −1...1.
  case deviation(Double)
  /// No fill: an outline.
  case outline
}

extension Tone {
  /// How many series, levels and deviations differ.
  static let (seriesCount, levelCount, deviationCount) = (12, 16, 17)

  /// Its class in style sheets.
  var name: String {
    switch self {
    case .good: "good"
    case .quiet: "quiet"
    case .caution: "caution"
    case .values: "values"
    case .wrong: "wrong"
    case .bad: "bad"
    case .series(let number): "s\((number % Self.seriesCount + Self.seriesCount) % Self.seriesCount)"
    case .level(let share): "l\(Self.step(share, of: Self.levelCount))"
    case .deviation(let share): "d\(Self.step((share + 1) / 2, of: Self.deviationCount))"
    case .outline: "outline"
    }
  }

  /// What stands for it in text.
  var character: Character {
    switch self {
    case .good: "·"
    case .quiet: "░"
    case .caution: "!"
    case .values: "#"
    case .wrong: "?"
    case .bad: "X"
    case .series(let number): Array("●○▲△■□◆◇+x*%")[(number % 12 + 12) % 12]
    case .level(let share): Self.blocks[Self.step(share, of: Self.blocks.count)]
    case .deviation(let share): Self.blocks[Self.step((share + 1) / 2, of: Self.blocks.count)]
    case .outline: " "
    }
  }

  private static let blocks = Array("▁▂▃▄▅▆▇█")

  /// What is shown of cells that share a character: the greatest.
  var weight: Double {
    switch self {
    case .outline: -3
    case .series: -2
    case .good: -1.9
    case .quiet: -1.8
    case .level(let share), .deviation(let share): share
    case .caution: 2
    case .values: 3
    case .wrong: 4
    case .bad: 5
    }
  }

  static func step(_ share: Double, of count: Int) -> Int {
    guard share > 0 else { return 0 }
    return share < 1 ? Int(share * Double(count)) : count - 1
  }
}
