"""``relcast serve`` as its users start it: a process of its own, and a client that has the key."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

import httpx
import psutil

ENDED = ("DONE", "FAILED", "CANCELLED")
_QUICK = 0.03


def environment(**more: str) -> dict[str, str]:
    """The tests' environment without anybody's settings, one thread for everything."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("RELCAST_")}
    return {
        **kept,
        "OMP_NUM_THREADS": "1",
        "PYTHONUNBUFFERED": "1",
        "RELCAST_THREADS": "1",
        **more,
    }


class Served:
    """A server over a home; it can be killed and started again, and keeps its key."""

    def __init__(self, home: Path, **settings: str) -> None:
        self.home = home
        self.key = ""
        self.url = ""
        self.log = home.parent / f"{home.name}.log"
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._client: httpx.Client | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def http(self) -> httpx.Client:
        assert self._client is not None
        return self._client

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> Self:
        """Start the server and wait until it is ready."""
        before = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command("serve", "--port", "0"),
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.environment,
                start_new_session=True,
            )
        deadline = time.monotonic() + 90
        while not (said := re.search(r"relcast serves .* at (http://\S+)", self.said(before))):
            assert self._process.poll() is None, self.said()
            assert time.monotonic() < deadline, self.said()
            time.sleep(_QUICK)
        self.url = said[1]
        if first := re.search(r"API key \(shown once\):\s+(\S+)", self.said(before)):
            self.key = first[1]
        self._client = httpx.Client(
            base_url=f"{self.url}/api/v1", headers={"X-API-Key": self.key}, timeout=60
        )
        while httpx.get(f"{self.url}/readyz").status_code != 200:
            assert time.monotonic() < deadline, self.said()
            time.sleep(_QUICK)
        return self

    def command(self, *words: str) -> list[str]:
        name, *rest = words
        return [sys.executable, "-m", "relcast.cli", name, "--home", str(self.home), *rest]

    @property
    def environment(self) -> dict[str, str]:
        return environment(**self._settings)

    def said(self, start: int = 0) -> str:
        """What the server wrote, from a byte on."""
        return self.log.read_bytes()[start:].decode()

    def kill(self) -> None:
        """End the server as the kernel does when memory runs out."""
        self._close(signal.SIGKILL)

    def stop(self) -> None:
        """End the server as Ctrl-C does."""
        self._close(signal.SIGINT)

    def _close(self, number: signal.Signals) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None
        if self._process is not None:
            self._process.send_signal(number)
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
            self._process = None

    def post(self, path: str, body: Any = None) -> Any:
        answer = self.http.post(path, json=body)
        assert answer.is_success, answer.text
        return answer.json()

    def get(self, path: str) -> Any:
        answer = self.http.get(path)
        assert answer.is_success, answer.text
        return answer.json()

    def wait(self, job_id: str, *, seconds: float = 90) -> dict[str, Any]:
        """Follow a job to its end."""
        deadline = time.monotonic() + seconds
        while (job := self.get(f"/jobs/{job_id}"))["state"] not in ENDED:
            assert time.monotonic() < deadline, job
            time.sleep(_QUICK)
        return job

    def wait_for_stage(self, job_id: str, stage: str, *, seconds: float = 60) -> dict[str, Any]:
        """Follow a job until one of its stages runs."""
        deadline = time.monotonic() + seconds
        while True:
            job = self.get(f"/jobs/{job_id}")
            if any(s["name"] == stage and s["state"] == "RUNNING" for s in job["stages"]):
                return job
            assert job["state"] not in ENDED, job
            assert time.monotonic() < deadline, job
            time.sleep(_QUICK)

    def connect(self, folder: Path, **body: Any) -> httpx.Response:
        """Name a folder as a connector and ask for the graph of its tables."""
        self.post("/connectors", {"name": folder.name, "root": str(folder)})
        body = {"connector_id": folder.name, "name": folder.name, **body}
        return self.http.post("/graphs/from_source", json=body)

    def ask(self, graph: str, text: str, **body: Any) -> httpx.Response:
        """Save a query that trains quickly."""
        body = {"plan": {"model": {"run_mode": "debug"}}, "name": f"q-{graph}", **body}
        return self.http.post(
            "/predictive_queries", json={"graph_id": graph, "query_string": text, **body}
        )

    def run(self, query: str, action: str, body: Any = None) -> dict[str, Any]:
        """Retrain or predict, and wait for the end."""
        return self.wait(self.post(f"/predictive_queries/{query}/{action}", body)["id"])


def processes_of(home: Path) -> list[psutil.Process]:
    """Every process that works on a home: its path stands in their command lines or environment."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and any(
                str(home) in word
                for word in (*process.cmdline(), process.environ().get("TMPDIR", ""))
            ):
                found.append(process)
        except psutil.Error:
            pass
    return found


def none_left(home: Path, seconds: float = 5) -> list[psutil.Process]:
    """Wait for a home's processes to end, and return those that did not."""
    deadline = time.monotonic() + seconds
    while (left := processes_of(home)) and time.monotonic() < deadline:
        time.sleep(_QUICK)
    return left
