"""A process that works on a home with stand-in children until it is killed: ``serve_home.py HOME``."""

from __future__ import annotations

import sys
import threading
from dataclasses import replace
from pathlib import Path

from relcast.core.settings import Settings
from relcast.jobs import Platform, runner

runner.COMMAND = (sys.executable, str(Path(__file__).parent / "fake_child.py"))
platform = Platform.open(replace(Settings.load(sys.argv[1], {}), threads=1))
platform.start(worker=True)
print("ready", flush=True)
threading.Event().wait()
