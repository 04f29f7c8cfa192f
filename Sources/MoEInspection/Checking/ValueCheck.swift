// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Checkpoints
internal import MoE
internal import Synchronization
internal import Tensors

/// Reads the values of layers that are complete.
struct ValueCheck {
  private(set) var findings: [Finding] = []
  private(set) var bytesRead = 0
  private(set) var weightCount = 0

  /// One expert of a layer.
  private struct Item: Sendable {
    var place: MoEModel.Place
    var matrices: [MatrixSource]
    var byteCount: Int { matrices.reduce(0) { $0 + $1.byteCount } }
  }

  private struct State {
    var findings: [Finding] = []
    var matrices: [ComparedMatrix] = []
    var bytesRead = 0
  }

  init(
    _ layers: [MoEModel.Layer], of catalog: TensorCatalog, _ pool: WorkerPool,
    _ progress: (@Sendable (Int, Int) -> Void)?
  ) {
    let items = layers.flatMap(Self.items)
    let total = items.reduce(0) { $0 + $1.byteCount }
    let state = Mutex(State())
    pool.forEach(items.count) { index in
      let item = items[index]
      var findings: [Finding] = []
      var matrices: [ComparedMatrix] = []
      for matrix in item.matrices {
        var place = item.place
        place.projections = matrix.parts.map(\.projection)
        do throws(MoEError) {
          let values = try matrix.values(from: catalog)
          findings += Self.findings(values.faults, at: place, in: catalog)
          matrices.append(ComparedMatrix(place: place, stem: matrix.stem, values: values))
        } catch {
          findings += Self.findings(error.faults, at: place, in: catalog)
        }
      }
      state.withLock {
        $0.findings += findings
        $0.matrices += matrices
        $0.bytesRead += item.byteCount
        progress?($0.bytesRead, total)
      }
    }
    let (found, matrices, bytes) = state.withLock { ($0.findings, $0.matrices, $0.bytesRead) }
    findings = found + Comparison(matrices).findings
    bytesRead = bytes
    weightCount = matrices.reduce(0) { $0 + $1.values.statistics.values.reduce(0) { $0 + $1.count } }
    for layer in layers { findings += Self.routerFindings(layer, catalog) }
  }

  private static func items(_ layer: MoEModel.Layer) -> [Item] {
    var items = layer.experts.experts.enumerated().map { expert, matrices in
      Item(place: MoEModel.Place(layer: layer.index, expert: expert), matrices: matrices)
    }
    for matrices in layer.shared?.experts.experts ?? [] {
      items.append(Item(place: MoEModel.Place(layer: layer.index, isShared: true), matrices: matrices))
    }
    return items
  }

  private static func findings(_ faults: [Fault], at place: MoEModel.Place, in catalog: TensorCatalog) -> [Finding] {
    faults.map { fault in
      var fault = fault
      fault.file = fault.file ?? fault.subject.flatMap { catalog[$0] }.map { catalog.path(of: $0) }
      return Finding(.error, fault, at: place)
    }
  }

  /// What routes, and what stands around the experts: small tensors, which must be finite.
  private static func routerFindings(_ layer: MoEModel.Layer, _ catalog: TensorCatalog) -> [Finding] {
    let gate = layer.gate
    let tensors = [
      gate.weight, gate.bias, gate.correctionBias, gate.inputScale?.scale, gate.perExpertScale, layer.shared?.gate,
      layer.latent?.down, layer.latent?.up, layer.outputNorm?.scale,
    ]
    var faults: [Fault] = []
    for tensor in tensors.compactMap(\.self) {
      do throws(MoEError) {
        _ = try catalog.values(of: tensor)
      } catch {
        faults += error.faults
      }
    }
    if gate.hashTable != nil {
      do throws(MoEError) {
        _ = try layer.makeRouter(catalog)
      } catch {
        faults += error.faults
      }
    }
    return findings(faults, at: MoEModel.Place(layer: layer.index), in: catalog)
  }
}
