"""A catalog in a temporary home, with a clock that tests move."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from relcast.catalog import Catalog, JobKind
from relcast.core.settings import Settings


class HandClock:
    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **by: float) -> None:
        self.now += timedelta(**by)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty catalog; copied, it spares each test the migrations."""
    home = tmp_path_factory.mktemp("migrated")
    Catalog(Settings.load(home, {})).close()
    return home / "relcast.db"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of a home that is not there yet."""
    return Settings.load(tmp_path / "home", {})


@pytest.fixture
def catalog(settings: Settings, migrated: Path, clock: HandClock) -> Iterator[Catalog]:
    settings.home.mkdir()
    shutil.copy(migrated, settings.home / "relcast.db")
    opened = Catalog(settings, clock)
    yield opened
    opened.close()


def add_job(catalog: Catalog, job_id: str = "ingest-job-1", **more) -> str:
    catalog.jobs.add(job_id, JobKind.ingest, config={}, **more)
    return job_id
