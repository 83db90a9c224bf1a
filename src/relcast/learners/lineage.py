"""What a model was made from and with, so that the same can be made again."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from typing import Any

__all__ = ["hardware", "versions"]

_PACKAGES = ("relcast", "lightgbm", "numpy", "numba", "pyarrow", "duckdb", "safetensors", "scipy")


def versions() -> dict[str, str]:
    """Return the versions of Python and of every package that shapes a model's numbers."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def hardware() -> dict[str, Any]:
    """Return what machine this is, in words."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processors": os.cpu_count() or 1,
        "libc": " ".join(platform.libc_ver()).strip(),
    }
