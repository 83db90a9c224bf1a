"""A real platform behind a real server on a free port, shared by the tests of this folder."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
import uvicorn
from fastapi import FastAPI

from relcast.core.settings import Settings
from relcast.jobs import Platform
from relcast.server import create_app

SPEND = "PREDICT SUM(orders.amount, 0, 30, days) FOR EACH customers.customer_id"


def write_shop(folder: Path, customers: int = 120, seed: int = 0) -> None:
    """Write customers and orders over a year; who buys more, goes on buying more."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    begin = np.datetime64("2023-01-01", "us")
    pd.DataFrame(
        {
            "customer_id": np.arange(1, customers + 1),
            "signup": begin + rng.integers(0, 60, customers).astype("timedelta64[D]"),
            "region": rng.choice(["north", "south", "west"], customers),
        }
    ).to_parquet(folder / "customers.parquet", index=False)
    rate = rng.gamma(2.0, 1.5, customers)
    owner = np.repeat(np.arange(1, customers + 1), rng.poisson(rate * 8))
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


class Running:
    """An app served by uvicorn in a thread."""

    def __init__(self, app: FastAPI) -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self._server = uvicorn.Server(
            uvicorn.Config(app, access_log=False, log_config=None, timeout_graceful_shutdown=1)
        )
        self._thread = threading.Thread(target=self._server.run, args=([listener],))
        self._thread.start()
        deadline = time.monotonic() + 30
        while not self._server.started:
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.01)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join()


@dataclass
class Shop:
    """A server over a home with one worker, and a client that has the key."""

    platform: Platform
    url: str
    client: httpx.Client
    data: Path

    @property
    def key(self) -> str:
        return self.client.headers["X-API-Key"]

    def wait(self, job_id: str, seconds: float = 120) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while True:
            job = self.client.get(f"/api/v1/jobs/{job_id}").json()
            if job["state"] in ("DONE", "FAILED", "CANCELLED"):
                return job
            assert time.monotonic() < deadline, job
            time.sleep(0.1)


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    root = tmp_path_factory.mktemp("server")
    write_shop(root / "data" / "shop")
    settings = Settings.load(
        root / "home", {"RELCAST_DATA_ROOTS": str(root / "data"), "RELCAST_THREADS": "1"}
    )
    platform = Platform.open(settings)
    key = platform.reset_key()
    platform.start(worker=True)
    running = Running(create_app(platform))
    client = httpx.Client(base_url=running.url, headers={"X-API-Key": key}, timeout=60)
    try:
        yield Shop(platform, running.url, client, root / "data")
    finally:
        client.close()
        running.stop()
        platform.stop()


@pytest.fixture(scope="session")
def graph_id(shop: Shop) -> str:
    made = shop.client.post(
        "/api/v1/connectors", json={"name": "shop", "root": str(shop.data / "shop")}
    )
    assert made.status_code == 201, made.text
    graph = shop.client.post("/api/v1/graphs/from_source", json={"connector_id": "shop"})
    assert graph.status_code == 201, graph.text
    return graph.json()["id"]


@pytest.fixture(scope="session")
def query_name(shop: Shop, graph_id: str) -> str:
    body = {
        "name": "spend",
        "query_string": SPEND,
        "graph_id": graph_id,
        "plan": {"model": {"run_mode": "debug"}},
    }
    made = shop.client.post("/api/v1/predictive_queries", json=body)
    assert made.status_code == 200, made.text
    return "spend"


@pytest.fixture(scope="session")
def trained(shop: Shop, query_name: str) -> dict[str, Any]:
    """The finished training job of the query."""
    answer = shop.client.post(f"/api/v1/predictive_queries/{query_name}/retrain")
    assert answer.status_code == 202, answer.text
    job = shop.wait(answer.json()["id"])
    assert job["state"] == "DONE", job["error"]
    return job
