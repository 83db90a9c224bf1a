"""A home in a temporary directory, whose children are ``fake_child`` unless a test says otherwise."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from relcast.catalog import Catalog, JobRecord
from relcast.core.schema import Column, Dtype, Graph, Link, Stype, Table, TaskType
from relcast.core.settings import Settings
from relcast.jobs import Platform, runner
from relcast.sources import SourceRef

FAKE = Path(__file__).parent / "fake_child.py"

ID = (Dtype.int64, Stype.ID)
GRAPH = Graph(
    tables={
        "customers": Table("customers", (Column("id", *ID),), primary_key="id"),
        "orders": Table(
            "orders",
            (
                Column("customer", *ID),
                Column("at", Dtype.time, Stype.timestamp),
                Column("price", Dtype.float64, Stype.numerical),
            ),
            time_column="at",
        ),
    },
    links=(Link("orders", "customer", "customers"),),
)
TEXT = "PREDICT SUM(orders.price, 0, 7, days) FOR EACH customers.id"


class House:
    """A platform and what tests ask of it."""

    def __init__(self, settings: Settings) -> None:
        self.platform = Platform.open(settings)
        self.home = settings.home

    def wish(self, **commands: dict) -> None:
        (self.home / "control.json").write_text(json.dumps(commands))

    def runs(self, command: str | None = None) -> list[int]:
        path = self.home / "runs.jsonl"
        lines = [json.loads(x) for x in path.read_text().splitlines()] if path.exists() else []
        return [x["pid"] for x in lines if command in (None, x["command"])]

    def query(self, name: str = "spend") -> str:
        graph = self.platform.create_graph(
            GRAPH, {t: SourceRef("parquet_upload_connector", t) for t in GRAPH.tables}
        )
        return self.platform.catalog.queries.add(
            name, TEXT, graph.id, TaskType.REGRESSION, "", {"table": {}, "model": {}}
        ).id

    def until(self, job_id: str, *states: str, seconds: float = 30) -> JobRecord:
        return until(self.platform, job_id, *states, seconds=seconds)


def until(platform: Platform, job_id: str, *states: str, seconds: float = 30) -> JobRecord:
    wanted = states or ("DONE", "FAILED", "CANCELLED")
    deadline = time.monotonic() + seconds
    while (job := platform.job(job_id)).state not in wanted:
        assert time.monotonic() < deadline, f"{job.state} after {seconds} s: {job}"
        time.sleep(0.02)
    return job


def alive(pids: list[int]) -> list[int]:
    found = []
    for pid in pids:
        try:
            if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                found.append(pid)
        except psutil.NoSuchProcess:
            pass
    return found


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty catalog; copied, it spares each test the migrations."""
    home = tmp_path_factory.mktemp("migrated")
    Catalog(Settings.load(home, {})).close()
    return home / "relcast.db"


@pytest.fixture
def settings(tmp_path: Path, migrated: Path) -> Settings:
    home = tmp_path / "home"
    home.mkdir()
    shutil.copy(migrated, home / "relcast.db")
    return replace(Settings.load(home, {}), threads=1)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "COMMAND", (sys.executable, str(FAKE)))


@pytest.fixture
def idle(settings: Settings, fake: None) -> Iterator[House]:
    """A house whose platform does not work yet."""
    house = House(settings)
    yield house
    house.platform.stop()


@pytest.fixture
def house(idle: House) -> House:
    idle.platform.start(worker=True)
    return idle
