"""Importing the room does not load the heavy libraries."""

from __future__ import annotations

import subprocess
import sys


def test_importing_the_room_loads_neither_lightgbm_nor_scipy() -> None:
    code = (
        "import sys, relcast.learners; "
        "print([m for m in ('lightgbm', 'scipy', 'sklearn', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
