# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 the swift-moe project authors

"""Brings libmoe.so into the package: one that is there (SWIFT_MOE_LIBRARY, a checkout's, a release archive's), or a new one."""

import os
import shutil
import subprocess
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py

root = Path(__file__).resolve().parent.parent


def library() -> Path:
    if given := os.environ.get("SWIFT_MOE_LIBRARY"):
        return Path(given)
    released, script = root / "lib" / "libmoe.so", root / "scripts" / "library"
    if released.exists():
        return released
    if not script.exists():
        raise SystemExit("no libmoe.so: set SWIFT_MOE_LIBRARY, or install from a checkout or a release archive")
    # SwiftPM builds only what has changed.
    subprocess.run([script, root / ".build" / "library"], check=True)
    return root / ".build" / "library" / "libmoe.so"


class BuildWithLibrary(build_py):
    def run(self) -> None:
        super().run()
        shutil.copy2(library(), Path(self.build_lib) / "swift_moe" / "libmoe.so")


class BinaryDistribution(Distribution):
    def has_ext_modules(self) -> bool:
        return True


class PlatformWheel(bdist_wheel):
    """The library is of one platform, and of no version of Python."""

    def get_tag(self) -> tuple[str, str, str]:
        return "py3", "none", super().get_tag()[2]


setup(distclass=BinaryDistribution, cmdclass={"build_py": BuildWithLibrary, "bdist_wheel": PlatformWheel})
