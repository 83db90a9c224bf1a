"""Importing the room does not load the heavy libraries.

(numba imports the bare package scipy, which is small; its parts are what is slow.)
"""

from __future__ import annotations

import subprocess
import sys


def test_importing_the_room_loads_neither_lightgbm_nor_scipy() -> None:
    code = (
        "import sys, relcast.learners; "
        "print([m for m in ('lightgbm', 'scipy.optimize', 'scipy.sparse', 'sklearn', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
