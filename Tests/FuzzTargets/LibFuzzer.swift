// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// What libFuzzer calls with each of its inputs; `MOE_FUZZ_TARGET` is the name of the target. See `scripts/fuzz`.
@c(LLVMFuzzerTestOneInput)
public func fuzz(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
  if case .wrong(let reason) = unsafe target.read(Array(UnsafeBufferPointer(start: data, count: size))) {
    fatalError(reason)
  }
  return 0
}

private let target: FuzzTarget = {
  let name = unsafe getenv("MOE_FUZZ_TARGET").map { unsafe String(cString: $0) }
  guard let target = FuzzTarget.all.first(where: { $0.name == name }) else {
    fatalError("MOE_FUZZ_TARGET is none of \(FuzzTarget.all.map(\.name))")
  }
  return target
}()
