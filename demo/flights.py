"""The demo: which aircraft will run late next week?

Starts a relcast server of its own on loopback, then does everything over HTTP with the API key, as
any client would: connects a folder, links the tables, saves one predictive query, retrains it, and
scores every aircraft. Prints the model beside the baselines and the first predictions with their
reasons. Ends serving, with the URL of the UI, until Ctrl-C; ``--mode once`` stops at the end.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
from data import TABLES, prepare
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
HOME = ROOT / ".demo" / "home"
DATA = ROOT / ".demo" / "data"
RELCAST = Path(sys.executable).with_name("relcast")
NAME = "late-aircraft"
QUERY = (
    "PREDICT AVG(flights.arr_delay, 0, 7, days) FOR EACH planes.tailnum "
    "WHERE COUNT(flights.*, -28, 0, days) > 0"
)
console = Console()


def free_port(wanted: int) -> int:
    """Return ``wanted`` when nobody listens there, else a free port."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise SystemExit("No port is free on this machine.")


def start_server(port: int) -> subprocess.Popen[str]:
    """Start ``relcast serve`` on the demo's home, which may read the demo's data and nothing else."""
    HOME.mkdir(parents=True, exist_ok=True)
    log = (HOME.parent / "server.log").open("w")
    return subprocess.Popen(
        [str(RELCAST), "serve", "--home", str(HOME), "--port", str(port)],
        env={**os.environ, "RELCAST_DATA_ROOTS": str(DATA)},
        stdout=log,
        stderr=subprocess.STDOUT,
        text=True,
    )


def new_key() -> str:
    """Make an API key for this run, as an operator would: it stands alone on the last line."""
    done = subprocess.run(
        [str(RELCAST), "keys", "reset", "--home", str(HOME)],
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.splitlines()[-1]


class Api:
    """The few calls of the demo; every one of them works the same with curl."""

    def __init__(self, base: str, key: str) -> None:
        self.base = base
        self.http = httpx.Client(base_url=f"{base}/api/v1", headers={"X-API-Key": key}, timeout=60)

    def __call__(self, method: str, path: str, json: Any = None) -> Any:
        answer = self.http.request(method, path, json=json)
        if answer.is_error:
            problem = answer.json()
            raise SystemExit(f"{method} {path}: {answer.status_code} {problem.get('detail')} {problem.get('hint', '')}")
        return answer.json()

    def wait(self, path: str) -> dict[str, Any]:
        """Follow a job's status with a bar for each stage until it has ended."""
        columns = (
            SpinnerColumn(finished_text="✓"),
            TextColumn("  {task.description:<15}"),
            BarColumn(bar_width=24),
            TimeElapsedColumn(),
            TextColumn("{task.fields[detail]}", style="dim"),
        )
        with Progress(*columns, console=console) as bars:
            tasks: dict[str, Any] = {}
            while True:
                job = self("GET", path)
                for stage in job["stages"]:
                    name = stage["name"]
                    if name not in tasks:
                        tasks[name] = bars.add_task(name, total=None, detail="")
                    total = stage.get("total")
                    bars.update(tasks[name], total=total, completed=stage.get("done") or 0, detail=stage.get("detail") or "")
                    if stage.get("ended_at"):
                        bars.update(tasks[name], total=total or 1, completed=total or 1)
                        bars.stop_task(tasks[name])
                if job["state"] in ("DONE", "FAILED", "CANCELLED"):
                    break
                time.sleep(0.5)
        if job["state"] != "DONE":
            raise SystemExit(f"The job {job['id']} ended {job['state']}: {job.get('error')}")
        return job
