// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Tensors

/// What a file is that is no safetensors file, told by its first bytes or its name, so that the message can say it.
enum FileSignature {
  case pickle, gguf, lfsPointer, webPage

  init?(start bytes: ArraySlice<UInt8>) {
    if bytes.starts(with: "GGUF".utf8) {
      self = .gguf
    } else if bytes.starts(with: "PK\u{3}\u{4}".utf8) || bytes.starts(with: [0x80, 2]) || bytes.starts(with: [0x80, 4])
    {
      self = .pickle  // A zip of `torch.save`, or a bare pickle.
    } else if bytes.starts(with: "version ".utf8) {
      self = .lfsPointer
    } else if bytes.starts(with: "<!DOCTYP".utf8) || bytes.starts(with: "<html".utf8) {
      self = .webPage
    } else {
      return nil
    }
  }

  init?(name: String) {
    guard let dot = name.utf8.lastIndex(of: 0x2E) else { return nil }
    switch name[dot...].lowercased() {
    case ".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle": self = .pickle
    case ".gguf": self = .gguf
    default: return nil
    }
  }

  func fault(file path: String) -> Fault {
    switch self {
    case .pickle:
      Fault(
        .pickle, "a Python pickle, which can run any code when it is read; this package never reads one", file: path,
        remedy: """
          convert it once, in a sandbox if you do not trust its source: python3 -c "import torch; \
          from safetensors.torch import save_file; t = torch.load('\(path)', map_location='cpu', weights_only=True); \
          save_file({k: v.contiguous().clone() for k, v in t.items()}, 'model.safetensors')"
          """)
    case .gguf:
      Fault(
        .unsupported, "a GGUF file in the place of a safetensors file", file: path,
        remedy: "open it by itself, by a name that ends in .gguf")
    case .lfsPointer:
      Fault(
        .lfsPointer, "a Git LFS pointer in the place of the file", file: path,
        remedy: "fetch the file itself: git lfs pull")
    case .webPage:
      Fault(
        .malformedHeader, "a web page in the place of the file", file: path,
        remedy: "download it again; a page is what a server sends when a name is wrong or a login is missing")
    }
  }
}
