// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import MoE

let path = CommandLine.arguments.dropFirst().first ?? "Mixtral-8x7B-v0.1"
let model = try MoEModel(opening: path)                             // headers only; every fault at once
let backend = CPUBackend()
let plan = try LoadPlan(model.layers[0].experts, on: backend)       // exact, before anything is allocated
print(model.architecture, plan.residentBytes, "bytes of experts")

let layer = try MoELayer(model.layers[0], of: model, on: backend)
let hidden = (0..<4 * layer.hiddenSize).map { Float($0 % 17) / 17 } // [tokens, hidden], row-major
let result = try layer.forward(hidden)
print(result.routing.ids, result.output.count)                      // [tokens, topK], [tokens, hidden]
