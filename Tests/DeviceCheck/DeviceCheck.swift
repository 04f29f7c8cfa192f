// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Glibc
import MoE
import MoECUDA

/// What `scripts/gpu-check` starts on a machine with a GPU: `DeviceCheck [--layers NAMES] [FOLDER]`: the types of weights and
/// activations to check, separated by commas (default: all; `activations` and `pairs`, of tiles, for those), and a folder of
/// oracle cases.
///
/// Prints a line for each thing that was checked, with the greatest error; ends with status 1 where one is too large.
@main
struct DeviceCheck {
  static func main() {
    do {
      let device = try CUDABackend().device()
      print("device: \(device.name), \(device.architecture), \(device.multiprocessors) multiprocessors")
      let checks = Ledger()
      var arguments = CommandLine.arguments.dropFirst()
      var names: Set<String>?
      if arguments.first == "--layers" {
        names = Set(arguments.dropFirst().first?.split(separator: ",").map(String.init) ?? [])
        arguments = arguments.dropFirst(2)
      }
      for type in LayerCheck.types where names?.contains("\(type)") ?? true {
        checks.add { try LayerCheck(type).run() }
      }
      for layer in LayerCheck.unevenLayers where names?.contains("\(layer.type)") ?? true {
        checks.add { try LayerCheck(layer.type, hidden: layer.hidden, intermediate: layer.intermediate).run() }
      }
      for activation in LayerCheck.activations where names?.contains("activations") ?? true {
        for type in LayerCheck.activatedTypes { checks.add { try LayerCheck(activation, type).run() } }
      }
      if names?.contains("pairs") ?? true { checks.add { try LayerCheck.pairsOfTiles().run() } }
      if let path = arguments.first {
        for folder in try OracleCheck.folders(in: path) { checks.add { try OracleCheck(folder).run() } }
      }
      print("\(checks.passed) passed, \(checks.failed) failed")
      exit(checks.failed == 0 ? 0 : 1)
    } catch {
      print("DeviceCheck: \(error)")
      exit(1)
    }
  }
}

/// What was found, with what is allowed.
struct Finding {
  var name: String
  var error: Double
  var bound: Double
}

/// Runs checks one after the other, prints them and counts.
final class Ledger {
  private(set) var passed = 0
  private(set) var failed = 0

  func add(_ check: () throws -> [Finding]) {
    do {
      let findings = try check()
      let wrong = findings.filter { !($0.error <= $0.bound) }
      passed += findings.count - wrong.count
      failed += wrong.count
      let text = findings.map { "\($0.name) \(Float($0.error))" }.joined(separator: "; ")
      print(wrong.isEmpty ? "ok    \(text)" : "WRONG \(text)")
    } catch {
      failed += 1
      print("WRONG \(error)")
    }
    fflush(nil)
  }
}

/// The root mean square of the difference over that of `expected`; NaN counts as infinite.
func relativeError(_ found: [Float], _ expected: [Float]) -> Double {
  var (difference, norm) = (0.0, 0.0)
  for (a, b) in zip(found, expected) {
    difference += (Double(a) - Double(b)) * (Double(a) - Double(b))
    norm += Double(b) * Double(b)
  }
  let error = (difference / norm).squareRoot()
  return found.count != expected.count || error.isNaN ? .infinity : error
}
