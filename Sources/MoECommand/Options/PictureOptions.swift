// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import ArgumentParser
import Checkpoints
import MoEInspection

/// How a result is drawn.
struct PictureOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp("Draw it into a page that needs no other file.", valueName: "file"),
    completion: .file(extensions: ["html"]))
  var html: String?

  @Option(help: ArgumentHelp("Draw it into an image.", valueName: "file"), completion: .file(extensions: ["svg"]))
  var svg: String?

  @Flag(help: "Draw it in characters, below the result.")
  var ascii = false

  /// Whether a picture is wanted at all.
  var isEmpty: Bool { html == nil && svg == nil && !ascii }

  /// Writes what was asked for.
  ///
  /// - Parameter isQuiet: whether only JSON may be printed.
  func draw(_ picture: @autoclosure () -> Picture, isQuiet: Bool) throws(CheckpointError) {
    guard !isEmpty else { return }
    let picture = picture()
    if let html { try AtomicFile.write(picture.html, to: html) }
    if let svg { try AtomicFile.write(picture.svg, to: svg) }
    if ascii && !isQuiet { print("\n" + picture.text()) }
  }
}
