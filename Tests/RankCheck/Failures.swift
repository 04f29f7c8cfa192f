// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Glibc
import MoE
import MoEDistributed

/// What the last rank does wrong, by the name of its argument: stop, die, throw, differ, or fail together.
func checkFailures(_ world: MPICommunicator, _ arguments: [String]) throws {
  let isLast = world.rank == world.size - 1
  // Groups, so that ranks also wait for ranks that wait.
  let pair = try world.split(color: world.rank / 2)
  try world.barrier()
  switch arguments.first {
  case "stop": if isLast { raise(SIGSTOP) }
  case "die": if isLast { raise(SIGKILL) }
  case "throw": if isLast { throw MoEError(.invalidValue, "this rank had enough") }
  case "together":
    try world.together { () throws(MoEError) in
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
