# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 the swift-moe project authors

"""What can go wrong, as one small tree: everything is a MoEError."""

from __future__ import annotations


class MoEError(Exception):
    """An error of the library. `faults` are its lines: what, where, expected, found, remedy."""

    @property
    def faults(self) -> list[str]:
        return str(self).splitlines()


class InvalidArgument(MoEError, ValueError):
    """A wrong type, shape, stride, device or value."""


class InvalidHandle(MoEError):
    """Something was used after it was closed, or in another process than the one that it ran in."""


class CheckpointError(MoEError):
    """A checkpoint is none, or something in it is missing, damaged or contradictory."""


class Unsupported(MoEError, NotImplementedError):
    """Asked for is what this library, backend or machine does not do."""


class DeviceError(MoEError, RuntimeError):
    """A GPU, its driver or its compiler is not there, or failed."""


class OutOfMemory(MoEError, MemoryError):
    """There is no memory for it."""
