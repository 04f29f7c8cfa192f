// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Tensors

extension TensorCatalog {
  /// Tensors that are in no file: for plans, and for loads whose bytes are pushed from memory.
  ///
  /// They are held to all rules of safetensors, and of them `read` and `bytes` throw `.unreadable`.
  ///
  /// - Parameters:
  ///   - tensors: Their names, types and shapes.
  ///   - name: What stands for the path in messages.
  /// - Throws: All faults of the declarations.
  public init(declaring tensors: [TensorDeclaration], name: String = "memory") throws(CheckpointError) {
    let layout = try SafetensorsLayout(tensors, metadata: [:], file: name)
    let header = try SafetensorsHeader(parsing: layout.header, fileSize: layout.fileSize, file: name)
    self.init(path: name, files: [], records: header.tensors, metadata: [header.metadata], warnings: [])
  }

  /// Tensors of a GGUF file that is not there.
  public init(
    declaring tensors: [GGUFDeclaration], metadata: [String: GGUFValue], name: String = "memory"
  ) throws(CheckpointError) {
    let layout = try GGUFLayout(metadata: metadata, tensors, alignment: 32, file: name)
    let header = try GGUFHeader(parsing: layout.header, fileSize: layout.fileSize, file: name)
    self.init(
      path: name, files: [], records: header.tensors, ggufMetadata: header.metadata, warnings: header.warnings)
  }

  /// The file of a tensor.
  ///
  /// - Throws: `.unreadable` for one that was only declared.
  func file(of record: TensorRecord) throws(CheckpointError) -> RandomAccessFile {
    guard record.file < files.count else {
      throw CheckpointError(
        Fault(
          .unreadable, "the tensor was declared, and has no bytes", file: path, subject: record.name,
          remedy: "push it from memory, or open the files"))
    }
    return files[record.file]
  }
}

extension Checkpoint {
  /// A model whose tensors are in no file, in safetensors' names: plans are made from it, and its bytes are pushed.
  ///
  /// ```swift
  /// let checkpoint = try Checkpoint(declaring: tensors, configuration: ["model_type": "mixtral", …])
  /// let layer = try MoEModel(checkpoint).layers[0]
  /// let plan = try LoadPlan(layer.experts, on: backend)
  /// let loader = ExpertLoader(plan, into: try backend.allocate(plan.layout), of: backend)
  /// for tensor in stream { try loader.push(tensor.name, tensor.elementType, tensor.shape, tensor.bytes) }
  /// try loader.finish()
  /// ```
  ///
  /// - Parameters:
  ///   - tensors: Their names, types and shapes.
  ///   - configuration: What would be the `config.json`: an object.
  ///   - name: What stands for paths in messages.
  /// - Throws: All faults of the declarations; `.malformedJSON` for a configuration that is no object.
  public init(
    declaring tensors: [TensorDeclaration], configuration: JSONValue, name: String = "memory"
  ) throws(CheckpointError) {
    guard configuration.object != nil else {
      throw CheckpointError(
        Fault(
          .malformedJSON, "the configuration is not an object", file: name, expected: "an object",
          found: configuration.kind))
    }
    self.init(
      name, try TensorCatalog(declaring: tensors, name: name), configuration, file: name, keys: [:], warnings: [])
  }

  /// A model in GGUF that is in no file.
  ///
  /// - Throws: All faults of the declarations; `.metadata` where they don't say the architecture.
  public init(
    declaring tensors: [GGUFDeclaration], metadata: [String: GGUFValue], name: String = "memory"
  ) throws(CheckpointError) {
    let catalog = try TensorCatalog(declaring: tensors, metadata: metadata, name: name)
    let settings = try GGUFConfiguration(catalog.ggufMetadata ?? [:], file: name)
    self.init(
      name, catalog, settings.value, file: name, keys: settings.keys, warnings: catalog.warnings + settings.warnings)
  }
}
