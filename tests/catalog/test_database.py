"""The store itself: migrations, races at opening, permissions, transactions."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

import relcast.catalog
from relcast.catalog import Catalog, JobState
from relcast.catalog.database import HEAD, Database
from relcast.catalog.tables import jobs, metadata
from relcast.core.errors import InvalidRequest

from .conftest import add_job


def test_the_migrations_make_the_tables_that_the_code_declares(catalog):
    with catalog.database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_the_constant_head_is_the_newest_migration():
    config = Config()
    config.set_main_option("script_location", f"{relcast.catalog.__path__[0]}/migrations")
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


def test_several_processes_open_a_new_home_at_once(settings):
    code = (
        "import sys; from relcast.catalog import Catalog; from relcast.core.settings import Settings;"
        "c = Catalog(Settings.load(sys.argv[1], {})); print(c.keys.ensure_first() is not None)"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(settings.home)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    said = [p.communicate(timeout=60) for p in processes]
    assert [p.returncode for p in processes] == [0, 0, 0], said
    # They agree on the pepper too: exactly one of them made the first key.
    assert sorted(out.strip() for out, _ in said) == ["False", "False", "True"]


def test_everything_is_the_owners_only(settings, catalog):
    catalog.keys.reset()
    assert settings.home.stat().st_mode & 0o777 == 0o700
    files = [p for p in settings.home.rglob("*") if p.is_file()]
    assert {"relcast.db", "pepper", "audit"} <= {p.name for p in files}
    assert {p.name: oct(p.stat().st_mode & 0o777) for p in files} == {
        p.name: "0o600" for p in files
    }


def test_sqlite_runs_with_wal_and_foreign_keys(catalog):
    with catalog.database.read() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() >= 10_000
    with pytest.raises(sa.exc.IntegrityError):
        add_job(catalog, graph_id="graph-that-is-not-there")


def test_a_transaction_is_all_or_nothing(catalog):
    with pytest.raises(RuntimeError), catalog.transaction():
        add_job(catalog)
        assert catalog.jobs.get("ingest-job-1").state is JobState.QUEUED
        raise RuntimeError
    assert catalog.jobs.page().items == []
    assert catalog.events.after("ingest-job-1") == []


def test_times_are_utc_whatever_zone_they_came_in(catalog):
    add_job(catalog)
    there = datetime(2026, 5, 1, 2, 30, tzinfo=timezone(timedelta(hours=5)))
    with catalog.database.write() as connection:
        connection.execute(sa.update(jobs).values(started_at=there))
    found = catalog.jobs.get("ingest-job-1").started_at
    assert found == there
    assert found.tzinfo is UTC


def test_not_a_number_is_stored_as_nothing(catalog):
    catalog.jobs.add(
        "bp-job-1",
        relcast.catalog.JobKind.prediction,
        config={"a": [float("nan"), 1.5, {"b": float("inf")}]},
    )
    assert catalog.jobs.get("bp-job-1").config == {"a": [None, 1.5, {"b": None}]}


def test_another_kind_of_database_is_refused():
    with pytest.raises(InvalidRequest) as caught:
        Database("mysql://u:secret@host/db")
    assert caught.value.code == "settings.invalid"
    assert "secret" not in str(caught.value)


def test_a_reopened_catalog_remembers(settings, catalog):
    add_job(catalog)
    again = Catalog(settings)
    assert again.jobs.get("ingest-job-1").kind == "ingest"
    again.close()
