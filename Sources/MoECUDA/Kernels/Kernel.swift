// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// A function of a source file, which is compiled with some macros.
struct Kernel: Sendable, Hashable {
  /// What the file calls it.
  let name: String
  let file: String
  /// Each as `NAME=value`.
  let macros: [String]
  /// Threads of a block.
  let threads: Int
  /// Bytes of shared memory that a launch adds to what the file declares.
  let sharedBytes: Int

  init(_ name: String, _ file: String, macros: [String] = [], threads: Int, sharedBytes: Int = 0) {
    self.name = name
    self.file = file
    self.macros = macros
    self.threads = threads
    self.sharedBytes = sharedBytes
  }

  /// The machine code that it is part of.
  var source: String { KernelSource.title(file, macros) }
}

// MARK: - For all devices

extension Kernel {
  static let sortCount = Kernel("moe_sort_count", "portable/sort.cu", threads: 1024)
  static let sortScan = Kernel("moe_sort_scan", "portable/sort.cu", threads: 1024)
  static let sortPlace = Kernel("moe_sort_place", "portable/sort.cu", threads: 1024)
  static let productF32 = Kernel("moe_product_f32", "portable/products_f32.cu", threads: 256)
  static let productBF16Of64 = Kernel("moe_product_bf16_64", "portable/products_bf16.cu", threads: 256)
  static let productBF16Of16 = Kernel("moe_product_bf16_16", "portable/products_bf16.cu", threads: 256)
  static let combine = Kernel("moe_combine", "portable/combine.cu", threads: 256)
  static let quantizeGreatest = Kernel("moe_quantize_greatest", "portable/quantize.cu", threads: 256)
  static let quantize = Kernel("moe_quantize", "portable/quantize.cu", threads: 256)

  static let linear = Kernel("moe_linear", "portable/linear.cu", threads: 256)
  static let routeTop = Kernel("moe_route_top", "portable/route.cu", threads: 128)
  static let routeSparseMixer = Kernel("moe_route_sparse_mixer", "portable/route.cu", threads: 128)

  static let measureRead = Kernel("moe_measure_read", "portable/measure.cu", threads: 512)
  static let measureBF16 = Kernel("moe_measure_bf16", "portable/measure.cu", threads: 256)
  static let measureE4M3 = Kernel("moe_measure_e4m3", "portable/measure.cu", threads: 256)
  static let measureF32 = Kernel("moe_measure_f32", "portable/measure.cu", threads: 256)

  /// What every layer needs beside its products.
  static let shared = [linear, routeTop, routeSparseMixer, combine]
  /// The products, and what goes with them.
  static let products = [
    sortCount, sortScan, sortPlace, productF32, productBF16Of64, productBF16Of16, quantizeGreatest, quantize,
  ]
  static let measuring = [measureRead, measureBF16, measureF32]

  /// All that there are for an architecture.
  static func all(for architecture: DeviceArchitecture) -> [Kernel] {
    let portable = shared + products + measuring
    return architecture.isHopper ? portable + [measureE4M3] + HopperKernels.all.flatMap(\.kernels) : portable
  }
}
