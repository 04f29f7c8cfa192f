# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 the swift-moe project authors

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

# Nothing is fetched: models are made from configurations.
os.environ["HF_HUB_OFFLINE"] = "1"
sys.path.insert(0, str(Path(__file__).parent))

CASES = Path(__file__).resolve().parents[2] / "Tests" / "Oracle" / "cases"


@pytest.fixture
def mixtral() -> Path:
    """A checkpoint with what its layers give, of a program that isn't ours."""
    return CASES / "arch_mixtral"


def command() -> str:
    """The command moe, whose folder MOE_COMMAND names."""
    return os.environ["MOE_COMMAND"]
