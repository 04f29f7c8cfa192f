// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import ArgumentParser
import Checkpoints
import MoE
import MoECUDA
import Tensors

/// Where and how experts are computed.
struct BackendOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Where to compute: cpu, reference, or cuda[:N] for an NVIDIA GPU.", valueName: "name"))
  var backend = "cpu"

  @OptionGroup var workers: ThreadOptions

  @Option(
    help: ArgumentHelp(
      "Precision of activations: f32, bf16, int8 (with --backend cpu), fp8 (cuda), or declared by the checkpoint (reference, cuda). Default: f32; bf16 with cuda.",
      valueName: "type"))
  var activations: String?

  @Option(help: ArgumentHelp("Keep the experts' weights in f32, f16 or bf16 (default: as stored).", valueName: "type"))
  var weightsType: WeightType?

  @Option(
    help: ArgumentHelp(
      "Quantise the experts while loading, to any type of 'moe synth --dtype' (default: as stored).",
      valueName: "type"))
  var quantize: WeightType?

  @Flag(help: "Refuse what would run slower than its format and this machine allow, instead of noting it.")
  var requireFast = false

  /// What the experts' weights are converted to; nil for what they are.
  var weightType: WeightType? { quantize ?? weightsType }

  func validate() throws {
    if let weightsType, weightsType.elementType == nil {
      throw ValidationError("--weights-type takes f32, f16 or bf16; use --quantize \(weightsType)")
    }
    if weightsType != nil && quantize != nil {
      throw ValidationError("--weights-type and --quantize exclude each other")
    }
    guard ["cpu", "reference"].contains(backend) || deviceOrdinal != nil else {
      throw ValidationError("unknown backend '\(backend)': expected reference, cpu or cuda[:N]")
    }
    if let activations, ActivationPrecision(rawValue: activations) == nil {
      let precisions = ActivationPrecision.allCases.map(\.rawValue).joined(separator: ", ")
      throw ValidationError("unknown precision '\(activations)': expected \(precisions)")
    }
  }

  /// The backend that was asked for, for a process alone.
  func make() throws(MoEError) -> any Backend {
    try requireSingleProcess()
    return try makeForRank()
  }

  /// The backend that was asked for, on each of many ranks.
  func makeForRank() throws(MoEError) -> any Backend {
    switch backend {
    case "reference": return reference()
    case "cpu": return try cpu()
    default: return try cuda()
    }
  }

  private var deviceOrdinal: Int? { CUDABackend.ordinal(named: backend) }

  /// The device that was asked for; it is opened when it is first needed.
  private func cuda() throws(MoEError) -> CUDABackend {
    if let launcher = Launcher.current, launcher.size > 1 {
      throw MoEError(
        .unsupportedByBackend, "the cuda backend runs in one process", subject: "--backend \(backend)",
        expected: "1 rank", found: "\(launcher.size)", remedy: "start it without mpirun, or use --backend cpu")
    }
    return CUDABackend(ordinal: deviceOrdinal ?? 0, activations: precision)
  }

  /// Opens the device if one was asked for: before anything else is done, and not after a minute of it.
  func openDevice() throws(MoEError) {
    if deviceOrdinal != nil { _ = try cuda().device() }
  }

  /// Refuses plans with slow paths if that was asked for.
  func admit(_ plans: [LoadPlan]) throws(MoEError) {
    guard requireFast else { return }
    var reasons: [Fault] = []
    for plan in plans {
      do throws(MoEError) {
        try plan.requireFast()
      } catch {
        reasons += error.faults.filter { !reasons.contains($0) }
      }
    }
    guard reasons.isEmpty else { throw MoEError(reasons) }
  }

  /// Notes what a rank's load of layers will do, where it is to be said, and refuses slow paths if that was asked for.
  func announce(
    _ layers: [MoEModel.Layer], on backend: some Backend, as rank: ParallelLayout = .single, aloud: Bool = true
  ) throws(MoEError) {
    let shared = try ParallelLayout(tensorParallel: rank.tensorParallel, expertParallel: 1, rank: rank.tensorRank)
    var plans: [LoadPlan] = []
    for layer in layers {
      plans.append(try LoadPlan(layer.experts, on: backend, as: rank, weightType: weightType))
      if let experts = layer.shared?.experts {
        plans.append(try LoadPlan(experts, on: backend, as: shared, weightType: weightType))
      }
    }
    try admit(plans)
    guard aloud else { return }
    let notes = plans.flatMap(\.notes)
    for (index, note) in notes.enumerated() where !notes[..<index].contains(note) { Console.note(note) }
  }

  /// The reference with the activations that were asked for.
  func reference() -> ReferenceBackend { ReferenceBackend(activations: precision) }

  /// What outputs are compared with: the reference with activations as declared where that was asked for, else exact.
  func truth() -> ReferenceBackend { ReferenceBackend(activations: precision == .declared ? .declared : .f32) }

  /// What was asked for, or what is usual where it runs.
  var precision: ActivationPrecision {
    activations.flatMap(ActivationPrecision.init(rawValue:)) ?? (deviceOrdinal == nil ? .f32 : .bf16)
  }

  /// The CPU backend with the threads and instructions that were asked for.
  func cpu() throws(MoEError) -> CPUBackend {
    let instructions = try Self.instructionSet()
    guard instructions != .portable || !requireFast else {
      throw MoEError(
        .unsupportedByBackend, "a slow path: portable instructions", subject: "--require-fast",
        expected: "avx2 or avx512", found: instructions.rawValue)
    }
    return CPUBackend(
      pool: try workers.pool(), instructionSet: instructions, activations: precision)
  }

  /// The instruction set of `MOE_ISA`, or the fastest.
  static func instructionSet() throws(MoEError) -> InstructionSet {
    guard let name = environment("MOE_ISA") else { return .best }
    guard let set = InstructionSet(rawValue: name), set.isSupported else {
      let usable = InstructionSet.allCases.filter(\.isSupported).map(\.rawValue).joined(separator: ", ")
      throw MoEError(
        .invalidArgument, "this processor has no such instruction set", subject: "MOE_ISA", expected: usable,
        found: name)
    }
    return set
  }

  /// Refuses to run as one of several ranks.
  private func requireSingleProcess() throws(MoEError) {
    guard let launcher = Launcher.current, launcher.size > 1 else { return }
    throw MoEError(
      .unsupported, "started as one of \(launcher.size) ranks, which this does not use",
      subject: launcher.family.rawValue,
      remedy: "start it without mpirun; 'moe run --input' and 'moe bench' take --expert-parallel and --tensor-parallel")
  }
}
