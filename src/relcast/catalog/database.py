"""The catalog's database: one engine, migrated when it is opened, and short transactions.

SQLite runs in WAL mode with foreign keys on; a writer takes the write lock when its transaction
begins, so that what it read before it writes still holds. PostgreSQL runs the same statements.
"""

from __future__ import annotations

import json
import math
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Engine, event, make_url

from relcast.core.errors import InvalidRequest

__all__ = ["HEAD", "Database"]

HEAD = "0002"
"""The newest migration. Kept here so that opening an up-to-date catalog need not load Alembic."""

# Any numbers; they name our advisory locks in PostgreSQL.
_MIGRATION_LOCK = 7_130_244_018
_COUNTING_LOCK = 7_130_244_019
_BUSY_MS = 30_000


class Database:
    """Connections to the catalog, and transactions that nest by joining the outer one."""

    def __init__(self, url: str) -> None:
        """Open the database at an SQLAlchemy URL and bring its tables up to date.

        Safe when several processes open the same database at once. Raises ``settings.invalid`` for
        a URL that is neither an SQLite file nor PostgreSQL, and ``settings.store_unusable`` when
        the database does not answer or is none of ours. No message holds the URL: it may hold a
        password.
        """
        try:
            parsed = make_url(url)
            backend = parsed.get_backend_name()
        except (sa.exc.ArgumentError, ValueError):
            raise _bad_url("is not the URL of a database") from None
        if backend not in ("sqlite", "postgresql"):
            raise _bad_url(f"names {backend!r}, which cannot hold the catalog")
        self.is_sqlite = backend == "sqlite"
        if self.is_sqlite and parsed.database in (None, "", ":memory:"):
            raise _bad_url("names no file, and what is kept in memory is lost")
        try:
            if self.is_sqlite:
                _private_file(Path(str(parsed.database)))
            elif parsed.drivername == "postgresql":
                parsed = parsed.set(drivername="postgresql+psycopg")
            self.engine = _engine(parsed, sqlite=self.is_sqlite)
            self._local = threading.local()
            self._migrate()
        except (OSError, ImportError, sa.exc.DBAPIError) as error:
            raise _unusable(error) from error

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Yield a connection that sees one moment; inside ``write`` it is the writer's own."""
        outer = getattr(self._local, "writer", None)
        if outer is not None:
            yield outer
            return
        with self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Yield a connection whose changes are committed together at the end of the outermost.

        On an exception all of them are undone.
        """
        outer = getattr(self._local, "writer", None)
        if outer is not None:
            yield outer
            return
        with self.engine.connect() as connection:
            writer = connection.execution_options(relcast_write=True)
            with writer.begin():
                self._local.writer = writer
                try:
                    yield writer
                finally:
                    self._local.writer = None

    def queue_up(self, connection: Connection) -> None:
        """Let one transaction at a time go on from here: what it counts then holds at its end.

        In SQLite there is only ever one writer.
        """
        if not self.is_sqlite:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_COUNTING_LOCK)))

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()

    def _migrate(self) -> None:
        if self._version() == HEAD:
            return
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option(
            "script_location", str(Path(__file__).parent / "migrations").replace("%", "%%")
        )
        with self.write() as connection:
            if not self.is_sqlite:
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    def _version(self) -> str | None:
        with self.read() as connection:
            if not sa.inspect(connection).has_table("alembic_version"):
                return None
            version: str | None = connection.scalar(
                sa.select(sa.column("version_num")).select_from(sa.table("alembic_version"))
            )
            return version


def _bad_url(what: str) -> InvalidRequest:
    return InvalidRequest(
        f"RELCAST_DATABASE_URL {what}",
        code="settings.invalid",
        hint="Use sqlite:///path or postgresql://user:password@host/database.",
    )


def _unusable(error: Exception) -> InvalidRequest:
    cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    hint = "Check RELCAST_DATABASE_URL, that the database runs, and that this user may write to it."
    if isinstance(error, ImportError):
        hint = "Install the driver: pip install 'relcast[postgres]'."
    return InvalidRequest(
        f"The metadata store cannot be used: {str(cause).splitlines()[0]}",
        code="settings.store_unusable",
        hint=hint,
    )


def _engine(url: sa.URL, *, sqlite: bool) -> Engine:
    if not sqlite:
        return sa.create_engine(
            url, json_serializer=_dump, json_deserializer=json.loads, pool_pre_ping=True
        )
    # The driver's own BEGIN comes too late (before the first write); ours stands in `begin`.
    engine = sa.create_engine(
        url,
        json_serializer=_dump,
        json_deserializer=json.loads,
        connect_args={"check_same_thread": False, "isolation_level": None},
        pool_size=16,
        max_overflow=64,
    )

    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout={_BUSY_MS:d}")
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("relcast_write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _private_file(path: Path) -> None:
    """Create a file that only its owner can read, or narrow one that is there."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        os.fchmod(descriptor, 0o600)
    finally:
        os.close(descriptor)


def _dump(value: Any) -> str:
    return json.dumps(_finite(value), ensure_ascii=False, allow_nan=False)


def _finite(value: Any) -> Any:
    """Replace NaN and infinities by None: JSON has no word for them."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(k): _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return value
