// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Glibc
import MoE
import MoEDistributed

/// What the last rank does wrong, by the name of its argument: stop, die, throw, differ, or fail together with others.
func checkFailures(_ world: MPICommunicator, _ arguments: [String]) throws {
  let isLast = world.rank == world.size - 1
  // Groups, so that ranks also wait for ranks that wait.
  let pair = try world.split(color: world.rank / 2)
  try world.barrier()
  switch arguments.first {
  case "stop": if isLast { raise(SIGSTOP) }
  case "die": if isLast { raise(SIGKILL) }
  case "throw": if isLast { throw MoEError(.invalidValue, "this rank had enough") }
  case "stop-forward": try stopWhileRowsTravel(world, arguments[1], isLast: isLast)
  case "together":
    try world.together {
      if isLast { throw MoEError(.invalidValue, "a file is missing", file: "/data/x") }
    }
  case "differ":
    try world.requireEqual([
      ("plan", "the same"), ("placement", isLast ? "other" : "usual"), ("layout", world.rank == 0 ? "a" : "b"),
    ])
  default: throw MoEError(.invalidArgument, "no such failure")
  }
  if pair.size > 1 { _ = try pair.allReduce([Int64(1)], by: .sum) }
  try world.barrier()
}

/// Stops the last rank in the middle of a forward.
private func stopWhileRowsTravel(_ world: MPICommunicator, _ folder: String, isLast: Bool) throws {
  let model = try MoEModel(opening: folder)
  let layer = model.layers[0]
  let grid = try RankGrid(world, tensorParallel: 1, expertParallel: world.size)
  let loaded = try MoELayer(layer, of: model, on: CPUBackend(), by: RankLoading(grid))
  let hidden = (0..<16 * layer.hiddenSize).map { Float($0 % 13) / 13 }
  let routing = try loaded.route(hidden)
  while true {
    _ = try loaded.experts.runner.forward(hidden, routing: routing) { if isLast { raise(SIGSTOP) } }
  }
}
