"""What the walks of the SDK share: the user's files, and a server as its users start it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import pandas as pd

CUSTOMERS = 250


def write_shop(folder: Path) -> int:
    """Write customers, orders and regions; the number of orders."""
    rng = np.random.default_rng(7)
    folder.mkdir()
    begin = np.datetime64("2023-01-01", "us")
    pd.DataFrame(
        {
            "customer_id": np.arange(1, CUSTOMERS + 1),
            "signup": begin + rng.integers(0, 60, CUSTOMERS).astype("timedelta64[D]"),
            "region_id": rng.integers(1, 5, CUSTOMERS),
        }
    ).to_parquet(folder / "customers.parquet", index=False)
    rate = rng.gamma(1.5, 2.0, CUSTOMERS)
    owner = np.repeat(np.arange(1, CUSTOMERS + 1), rng.poisson(rate * 6))
    seconds = rng.integers(0, 300 * 86_400, len(owner)).astype("timedelta64[s]")
    orders = pd.DataFrame(
        {
            "customer_id": owner,
            "time": np.datetime64("2023-03-01", "us") + seconds,
            "amount": (rng.gamma(2.0, 10.0, len(owner)) * rate[owner - 1]).round(2),
        }
    ).sort_values("time", ignore_index=True)
    orders.insert(0, "order_id", np.arange(len(orders)))
    orders.to_parquet(folder / "orders.parquet", index=False)
    pd.DataFrame({"region_id": [1, 2, 3, 4], "name": ["north", "south", "east", "west"]}).to_csv(
        folder / "regions.csv", index=False
    )
    return len(orders)


def environment(**more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("KUMO", "RELCAST", "RBAC"))}
    return kept | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"} | more


@contextmanager
def serve(home: Path, data: Path) -> Iterator[tuple[str, str]]:
    """Serve a fresh home; yield the URL and the first key, both read from what it prints."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    log = (home.parent / "server.log").open("w+")
    process = subprocess.Popen(
        [sys.executable, "-m", "relcast.cli", "serve", "--home", str(home), "--port", str(port)],
        stdout=log,
        stderr=subprocess.STDOUT,
        env=environment(RELCAST_THREADS="1", RELCAST_DATA_ROOTS=str(data)),
        start_new_session=True,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 90
        while True:
            assert process.poll() is None, Path(log.name).read_text()
            try:
                if httpx.get(f"{url}/readyz").status_code == 200:
                    break
            except httpx.TransportError:
                pass
            assert time.monotonic() < deadline, Path(log.name).read_text()
            time.sleep(0.2)
        line = next(x for x in Path(log.name).read_text().splitlines() if "API key" in x)
        yield url, line.split()[-1]
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        log.close()
