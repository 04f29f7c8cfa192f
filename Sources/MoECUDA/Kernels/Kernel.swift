// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// The kernels, by the names they have in their files.
enum Kernel: String, CaseIterable {
  case sortCount = "moe_sort_count"
  case sortScan = "moe_sort_scan"
  case sortPlace = "moe_sort_place"
  case productF32 = "moe_product_f32"
  case productBF16Of64 = "moe_product_bf16_64"
  case productBF16Of16 = "moe_product_bf16_16"
  case combine = "moe_combine"
  case linear = "moe_linear"
  case routeTop = "moe_route_top"
  case routeSparseMixer = "moe_route_sparse_mixer"
  case quantizeGreatest = "moe_quantize_greatest"
  case quantize = "moe_quantize"
  case measureRead = "moe_measure_read"
  case measureBF16 = "moe_measure_bf16"
  case measureF32 = "moe_measure_f32"

  /// The source it is in.
  var file: String {
    switch self {
    case .sortCount, .sortScan, .sortPlace: "portable/sort.cu"
    case .productF32: "portable/products_f32.cu"
    case .productBF16Of64, .productBF16Of16: "portable/products_bf16.cu"
    case .combine: "portable/combine.cu"
    case .linear: "portable/linear.cu"
    case .routeTop, .routeSparseMixer: "portable/route.cu"
    case .quantizeGreatest, .quantize: "portable/quantize.cu"
    case .measureRead, .measureBF16, .measureF32: "portable/measure.cu"
    }
  }

  /// Threads of a block.
  var threads: Int {
    switch self {
    case .sortCount, .sortScan, .sortPlace: 1024
    case .measureRead: 512
    case .routeTop, .routeSparseMixer: 128
    default: 256
    }
  }
}
