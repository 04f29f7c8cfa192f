# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 the swift-moe project authors

"""The experts layer of mixture-of-experts models on the CPU.

>>> import swift_moe
>>> checkpoint = swift_moe.Checkpoint("Qwen3-30B-A3B")
>>> experts = swift_moe.Experts.load(checkpoint, layer=0, weights="int4-g128")
>>> y = experts(x, topk_ids, topk_weights)                     # NumPy or torch, [tokens, hidden]

With transformers:

>>> swift_moe.register()
>>> model.set_experts_implementation("swift_moe")
"""

from __future__ import annotations

from ._library import version as _version
from ._options import Options
from .checkpoint import Checkpoint, Finding, Layer, Plan, RankPlan, Report, Tensor, check
from .errors import CheckpointError, DeviceError, InvalidArgument, InvalidHandle, MoEError, OutOfMemory, Unsupported
from .experts import Experts, ExpertsInfo, Job, Loader
from .integration import from_pretrained, prepare, register
from .routing import Routes, capture, replay
from .verify import LayerError, Verification, verify

__version__ = _version()

__all__ = [
    "Checkpoint",
    "CheckpointError",
    "DeviceError",
    "Experts",
    "ExpertsInfo",
    "Finding",
    "InvalidArgument",
    "InvalidHandle",
    "Job",
    "Layer",
    "LayerError",
    "Loader",
    "MoEError",
    "Options",
    "OutOfMemory",
    "Plan",
    "RankPlan",
    "Report",
    "Routes",
    "Tensor",
    "Unsupported",
    "Verification",
    "capture",
    "check",
    "from_pretrained",
    "prepare",
    "register",
    "replay",
    "verify",
]
