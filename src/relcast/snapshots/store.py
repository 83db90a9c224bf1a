"""The store of snapshots: immutable copies of tables under names that their content gives.

    <root>/tables/<table snapshot id>/data.parquet, table.json
    <root>/snapshots/<snapshot id>/snapshot.json     (what is derived from it may stand beside)
    <root>/seen/<hash>.json                          which source mark gave which table snapshot

Everything is made under a temporary name, synced and renamed, so that a reader sees it whole or not
at all, and two that make the same thing at once end with one of them.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from relcast.core.clock import Clock, utc_now
from relcast.core.errors import NotFound, SchemaError, SourceError
from relcast.core.ids import content_id, new_id
from relcast.core.progress import SILENT, Progress
from relcast.core.schema import Graph, Link
from relcast.snapshots.doubts import doubts_of
from relcast.snapshots.graphs import link_graph
from relcast.snapshots.health import link_health
from relcast.snapshots.key_values import KeyValues, file_key_values
from relcast.snapshots.late_values import late_proposals, sentence
from relcast.snapshots.links import LinkProposal, infer_links
from relcast.snapshots.parquet_rows import numbered_cell, parquet_rows
from relcast.snapshots.proposal import propose, wanted_columns
from relcast.snapshots.records import LinkHealth, Snapshot, TableSnapshot
from relcast.snapshots.spec import TableSpec
from relcast.snapshots.staging import connect, stage_table
from relcast.snapshots.statistics import column_statistics
from relcast.snapshots.writing import fsync_directory, write_table
from relcast.sources import Source

__all__ = ["SnapshotStore"]

_FORMAT = 2
"""Raise this when the same source would be copied otherwise: old copies stay, new ones are made."""

_STALE_SECONDS = 24 * 3600

_ID = re.compile(r"(table-[0-9a-f]{24}@[0-9a-f]{24}|snapshot-[0-9a-f]{24})")


class SnapshotStore:
    """Copies tables below ``root`` and opens the copies again.

    Args:
        root: The store's directory; made when it is not there.
        threads: Threads for reading and counting.
        memory_limit_mb: Memory for them; what does not fit goes to disk below ``root``.
        clock: What the present is; rows later than it are told of.
    """

    def __init__(
        self,
        root: Path | str,
        *,
        threads: int = 1,
        memory_limit_mb: int = 1024,
        clock: Clock = utc_now,
    ) -> None:
        self.root = Path(root).absolute()
        self._clock = clock
        self._threads = threads
        self._memory_limit_mb = memory_limit_mb
        for folder in ("tables", "snapshots", "seen", "staging"):
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        self._sweep()

    def ingest_table(
        self,
        source: Source,
        source_table: str,
        spec: TableSpec,
        progress: Progress = SILENT,
        *,
        threads: int | None = None,
    ) -> TableSnapshot:
        """Copy a table, or return the copy that there is when the source has not changed.

        That it has not is seen by its fingerprint or, when only that differs (a file was touched
        or moved), by its digest; nothing is then read or copied.

        Raises ``source.changed`` when the source changes meanwhile, ``schema.no_rows_left`` when
        every row would be dropped, and whatever reading and inference raise.
        """
        before = source.fingerprint(source_table)
        described = spec.to_json()
        seen = self.root / "seen" / f"{content_id('seen', [_FORMAT, before, described])}.json"
        known = self._known(seen)
        if known is not None:
            return known
        digest = source.digest(source_table)
        first = content_id("table", described)
        version = content_id("v", [_FORMAT, digest]).removeprefix("v-")
        identity = f"{first}@{version}"
        if not self._directory(identity).is_dir():
            with progress.stage("Ingestion", unit="rows") as stage:
                only = wanted_columns(spec, source.schema(source_table).names)
                with (
                    stage_table(
                        source,
                        source_table,
                        only,
                        parent=self.root / "staging",
                        threads=threads or self._threads,
                        memory_limit_mb=self._memory_limit_mb,
                        stage=stage,
                    ) as staged,
                    self._new("tables", identity) as directory,
                ):
                    proposal = propose(staged, spec)
                    path = directory / "data.parquet"
                    report = write_table(staged, proposal, path)
                    if report.rows_read and not report.rows_kept:
                        raise _nothing_left(spec.name, report.dropped)
                    columns = len(proposal.columns)
                    rows = parquet_rows(path, columns)
                    heard = doubts_of(
                        staged.connection, rows, proposal.table, report, self._clock()
                    )
                    late = late_proposals(staged.connection, rows, proposal.table, report.rows_kept)
                    told = tuple(sentence(spec.name, found) for found in late)
                    report = replace(report, warnings=(*heard, *told), late=late)
                    snapshot = TableSnapshot(
                        id=identity,
                        name=spec.name,
                        path=path,
                        rows=report.rows_kept,
                        table=proposal.table,
                        report=report,
                        statistics=column_statistics(
                            staged.connection, rows, proposal.table, report.rows_kept
                        ),
                        source_digest=digest,
                        reasons=proposal.reasons(),
                    )
                    _write_json(directory / "table.json", snapshot.to_json())
                    if source.fingerprint(source_table) != before:
                        raise SourceError(
                            f"The table {source_table!r} changed while it was copied",
                            code="source.changed",
                            hint="Start again when nothing writes to it.",
                        )
        _write_json(seen, {"table": identity})
        return self.open_table(identity)

    def combine(
        self,
        tables: Sequence[TableSnapshot],
        links: Sequence[Link] | None = None,
        progress: Progress = SILENT,
        *,
        threads: int | None = None,
    ) -> Snapshot:
        """Put tables together with links (None infers them) and count how well the links hold.

        The same tables and links give the same snapshot. Raises ``schema.unknown_table``,
        ``schema.unknown_column``, ``schema.link_without_key`` and ``schema.duplicate_table``.
        """
        by_name = {table.name: table for table in tables}
        if len(by_name) != len(tables):
            twice = next(t.name for t in tables if [o.name for o in tables].count(t.name) > 1)
            raise SchemaError(
                f"Two tables of the graph are named {twice!r}",
                code="schema.duplicate_table",
                hint="Give each table its own name.",
            )
        described = [_FORMAT, [t.id for t in tables]]
        described.append(None if links is None else [link.to_json() for link in links])
        identity = content_id("snapshot", described)
        if not self._directory(identity).is_dir():
            with (
                progress.stage("Ingestion", unit="links") as stage,
                self._database(threads) as database,
            ):
                chosen = links
                if chosen is None:
                    keyed = [_Keyed(database, table) for table in tables]
                    chosen = [proposal.link for proposal in infer_links(keyed)]
                graph = link_graph([t.table for t in tables], chosen)
                health: list[LinkHealth] = []
                for link in graph.links:
                    stage.update(len(health), len(graph.links), detail=str(link))
                    health.append(link_health(database, graph, by_name, link))
                with self._new("snapshots", identity) as directory:
                    snapshot = Snapshot(identity, directory, graph, by_name, tuple(health))
                    _write_json(directory / "snapshot.json", snapshot.to_json())
        return self.open(identity)

    def infer_links(self, tables: Sequence[TableSnapshot]) -> list[LinkProposal]:
        """Propose links between tables of the store, each with its reason and match rate."""
        with self._database(None) as database:
            return infer_links([_Keyed(database, table) for table in tables])

    def open(self, snapshot_id: str) -> Snapshot:
        """Open a snapshot; raise ``snapshot.unknown`` (404) if there is none of that id."""
        directory = self._directory(snapshot_id)
        obj = _read_json(directory / "snapshot.json", snapshot_id)
        return Snapshot(
            id=obj["id"],
            path=directory,
            graph=Graph.from_json(obj["graph"]),
            tables={name: self.open_table(table) for name, table in obj["tables"].items()},
            links=tuple(LinkHealth.from_json(link) for link in obj["links"]),
        )

    def open_table(self, table_snapshot_id: str) -> TableSnapshot:
        """Open a table's copy; raise ``snapshot.unknown`` (404) if there is none of that id."""
        directory = self._directory(table_snapshot_id)
        obj = _read_json(directory / "table.json", table_snapshot_id)
        return TableSnapshot.from_json(obj, directory)

    def _sweep(self) -> None:
        """Remove what killed processes left behind a day ago or earlier."""
        oldest = utc_now().timestamp() - _STALE_SECONDS
        for left in (self.root / "staging").iterdir():
            with suppress(FileNotFoundError):
                if left.stat().st_mtime < oldest:
                    shutil.rmtree(left, ignore_errors=True)

    def _known(self, seen: Path) -> TableSnapshot | None:
        try:
            return self.open_table(json.loads(seen.read_text())["table"])
        except (FileNotFoundError, NotFound):
            return None

    def _directory(self, identity: str) -> Path:
        if not _ID.fullmatch(identity):
            raise _unknown(identity)
        return self.root / ("tables" if identity.startswith("table-") else "snapshots") / identity

    @contextmanager
    def _new(self, folder: str, identity: str) -> Iterator[Path]:
        """Give a directory to fill, which gets its name when all went well."""
        staging = self.root / "staging" / new_id("new")
        staging.mkdir()
        try:
            yield staging
            fsync_directory(staging)
            final = self.root / folder / identity
            try:
                staging.rename(final)
            except OSError:
                # Another made the same thing first: content decides the name, so either will do.
                if not final.is_dir():
                    raise
            fsync_directory(final.parent)
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    @contextmanager
    def _database(self, threads: int | None) -> Iterator[Any]:
        directory = self.root / "staging" / new_id("scratch")
        directory.mkdir()
        try:
            with connect(
                directory,
                threads=threads or self._threads,
                memory_limit_mb=self._memory_limit_mb,
            ) as database:
                yield database
        finally:
            shutil.rmtree(directory, ignore_errors=True)


class _Keyed:
    """A table's copy whose key values are read when they are asked for."""

    def __init__(self, database: Any, snapshot: TableSnapshot) -> None:
        self.table = snapshot.table
        self._database = database
        self._snapshot = snapshot
        self._values: dict[str, KeyValues | None] = {}

    def key_values(self, column: str) -> KeyValues | None:
        if column not in self._values:
            index = [c.name for c in self.table.columns].index(column)
            self._values[column] = file_key_values(
                self._database,
                parquet_rows(self._snapshot.path, len(self.table.columns)),
                numbered_cell(index),
                self.table.columns[index],
                self._snapshot.rows,
                is_key=column == self.table.primary_key,
            )
        return self._values[column]


def _nothing_left(table: str, dropped: Mapping[str, int]) -> SchemaError:
    told = ", ".join(f"{count:,} by {reason}" for reason, count in dropped.items())
    return SchemaError(
        f"Every row of table {table!r} would be dropped: {told}",
        code="schema.no_rows_left",
        hint="Choose another primary key or time column, or none.",
    )


def _unknown(identity: str) -> NotFound:
    return NotFound(
        f"There is no snapshot {identity[:80]!r}",
        code="snapshot.unknown",
        hint="Ingest the tables again to make a new one.",
    )


def _read_json(path: Path, identity: str) -> Any:
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise _unknown(identity) from None


def _write_json(path: Path, value: Any) -> None:
    staging = path.with_name(f".{path.name}.{new_id('w')}")
    with staging.open("w", encoding="utf-8") as file:
        json.dump(value, file, ensure_ascii=True, indent=1)
        file.flush()
        os.fsync(file.fileno())
    staging.replace(path)
