"""Where tables come from, for people in notebooks: ``connect`` and ``Database``.

Everything is kept under the home's ``snapshots``, by content: connecting the same files again
copies nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from relcast.core.delays import Delay
from relcast.core.errors import InvalidRequest, SchemaError, nearest
from relcast.core.schema import Dtype, Link, Stype
from relcast.core.settings import Settings
from relcast.pipeline.bars import Listening, listener
from relcast.pipeline.data import Data

if TYPE_CHECKING:
    from relcast.sources import Source

__all__ = ["Database", "connect"]

_T = TypeVar("_T")


def connect(where: str | Path | Mapping[str, Any], *, home: str | Path | None = None) -> Database:
    """Open a folder of CSV or Parquet files, one such file, or data frames by table name.

    Raises ``SourceError`` when there is nothing to read. ``home`` is where copies are kept
    (``RELCAST_HOME``, by default ``~/.relcast``).
    """
    from relcast.sources import LocalDirectory, LocalFile

    settings = Settings.load(home)
    if isinstance(where, Mapping):
        return Database(_frames(where, settings.home / "frames"), settings)
    path = Path(where).expanduser()
    return Database(LocalFile(path) if path.is_file() else LocalDirectory(path), settings)


def _frames(frames: Mapping[str, Any], folder: Path) -> Source:
    """Write data frames (pandas or Arrow) as Parquet, so that they are read like any source."""
    import pyarrow as pa

    from relcast.core.ids import content_id
    from relcast.outputs import write_table
    from relcast.sources import LocalDirectory

    target = folder / content_id("frames", sorted(frames))
    for name, frame in frames.items():
        if not name.replace("_", "").isalnum():
            raise InvalidRequest(
                f"{name!r} cannot be the name of a table here",
                hint="Use letters, digits and underscores.",
            )
        table = (
            frame
            if isinstance(frame, pa.Table)
            else pa.Table.from_pandas(frame, preserve_index=False)
        )
        write_table(table, target / f"{name}.parquet")
    return LocalDirectory(target)


@dataclass(frozen=True)
class Database:
    """A source of tables."""

    source: Source
    settings: Settings = field(repr=False)

    @property
    def tables(self) -> list[str]:
        """The names of the tables there are."""
        return self.source.list_tables()

    def graph(
        self,
        tables: Sequence[str] | None = None,
        *,
        primary_keys: Mapping[str, str | None] | None = None,
        time_columns: Mapping[str, str | None] | None = None,
        end_time_columns: Mapping[str, str | None] | None = None,
        links: Iterable[tuple[str, str, str]] | None = None,
        dtypes: Mapping[str, str] | None = None,
        stypes: Mapping[str, str] | None = None,
        known_at: Mapping[str, str] | None = None,
        known_after: Mapping[str, Delay | str | timedelta | Mapping[str, Any]] | None = None,
        mutable: Iterable[str] | None = None,
        progress: Listening = "auto",
    ) -> Data:
        """Copy the tables, infer what is not said, link them, and return the whole.

        Args:
            tables: Which tables; all by default.
            primary_keys: By table; None says that there is none.
            time_columns: By table: when a row happened; None says that rows are timeless.
            end_time_columns: By table: when a row ceased to hold.
            links: ``(table, foreign key, referenced table)``; inferred when left out.
            dtypes: By ``table.column``, words of ``Dtype``.
            stypes: By ``table.column``, words of ``Stype``.
            known_at: By ``table.column``, the time column of the table from which its values are
                known; before that they are missing to every feature and condition.
            known_after: By ``table.column``, how long after that time, or after the row's own, they
                are known: ``"6 hours"``, a ``timedelta``, or ``"air_time minutes"`` for a column
                of numbers (``"flown"`` for one of durations).
            mutable: ``table.column`` of columns that are overwritten in place.
            progress: ``auto`` draws bars where somebody can see them.

        Raises ``schema.*`` errors where what is said does not fit the tables.
        """
        from relcast.relations import build
        from relcast.snapshots import INFER, SnapshotStore, TableSpec

        store = SnapshotStore(self.settings.home / "snapshots")
        names = list(tables or self.tables)
        late = list(mutable or ())
        for said in (*(known_at or ()), *(known_after or ()), *late):
            _require_table(said, names)
        copies = []
        with listener(progress).stage("Ingestion", total=len(names) + 1, unit="tables") as stage:
            for number, name in enumerate(names):
                stage.update(number, detail=f"reading {name}")
                spec = TableSpec(
                    name=name,
                    primary_key=(primary_keys or {}).get(name, INFER),
                    time_column=(time_columns or {}).get(name, INFER),
                    end_time_column=(end_time_columns or {}).get(name, INFER),
                    dtypes={c: Dtype(v) for c, v in _of(name, dtypes)},
                    stypes={c: Stype(v) for c, v in _of(name, stypes)},
                    known_at=dict(_of(name, known_at)),
                    known_after={c: Delay.of(v) for c, v in _of(name, known_after)},
                    mutable=tuple(c for c, _ in _of(name, dict.fromkeys(late))),
                )
                copies.append(
                    store.ingest_table(self.source, name, spec, threads=self.settings.threads)
                )
            stage.update(len(names), detail="linking")
            snapshot = store.combine(
                copies, None if links is None else [Link(*link) for link in links]
            )
            relations = build(snapshot)
            stage.update(len(names) + 1, detail=f"{sum(c.rows for c in copies):,} rows")
        return Data(snapshot, relations, self.settings)


def _require_table(said: str, tables: Sequence[str]) -> None:
    if not any(said.startswith(f"{table}.") for table in tables):
        raise SchemaError(
            f"{said!r} names no column of a table here",
            code="schema.unknown_column",
            hint="Write table.column. " + nearest(said.partition(".")[0], tables),
        )


def _of(table: str, by_column: Mapping[str, _T] | None) -> Iterable[tuple[str, _T]]:
    prefix = f"{table}."
    return [
        (name.removeprefix(prefix), word)
        for name, word in (by_column or {}).items()
        if name.startswith(prefix)
    ]
