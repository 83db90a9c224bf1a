"""The platform's part for data: connectors, graphs, and their snapshots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from relcast.catalog import ConnectorRecord, GraphRecord, GraphSnapshotRecord, JobKind, JobState
from relcast.core.errors import Conflict, InvalidRequest, NotFound, SourceError
from relcast.core.ids import content_id, new_id
from relcast.core.schema import Graph
from relcast.jobs.rooms import Rooms, checked_name, checked_tags
from relcast.pipeline.steps import SourceSpec, open_source
from relcast.sources import Source, SourceRef

if TYPE_CHECKING:
    from relcast.snapshots import LinkProposal, TableProposal, TableSpec

__all__ = ["UPLOADS", "Connecting"]

UPLOADS = ("parquet_upload_connector", "csv_upload_connector")
"""The two names of the one upload area, as the wire has them."""

_LOCAL = "local:"


class Connecting(Rooms):
    """Connectors, source tables, graphs and graph snapshots."""

    def connectors(self) -> list[ConnectorRecord]:
        """Return the named connectors, by name (the upload area is not among them)."""
        return self.catalog.connectors.all()

    def connector(self, id_or_name: str) -> ConnectorRecord:
        """Return a connector; raises ``connector.not_found``."""
        return self.catalog.connectors.get(id_or_name)

    def create_connector(
        self, name: str, kind: str = "file", root: str | Path | None = None
    ) -> ConnectorRecord:
        """Name a directory below the data roots; raises ``connector.*`` and ``source.*`` errors."""
        if kind != "file":
            raise InvalidRequest(
                f"There is no kind of connector named {kind!r}",
                code="connector.unknown_kind",
                hint="Use 'file', a directory on the server.",
            )
        checked = checked_name(name)
        if checked is None or root is None:
            raise InvalidRequest(
                "A file connector needs a name and a root directory",
                code="connector.incomplete",
                hint="Give the directory that holds the tables' files.",
            )
        if checked in UPLOADS:
            raise Conflict(
                f"{name!r} is the name of the upload area",
                code="connector.name_taken",
                hint="Choose another name.",
            )
        directory = self._allowed(root)
        return self.catalog.connectors.add(new_id("connector"), checked, kind, str(directory))

    def delete_connector(self, id_or_name: str) -> None:
        """Forget a connector; snapshots made from it stay. Raises ``connector.not_found``."""
        self.catalog.connectors.delete(id_or_name)

    def source(self, connector_id: str, root: str | Path | None = None) -> Source:
        """Open the source behind a connector.

        ``connector_id`` is one of ``UPLOADS``, the id or name of a connector, or ``local:<id or
        name>``; with ``local`` and a ``root``, that directory itself, which must lie below the data
        roots. Raises ``connector.not_found`` and ``source.*`` errors.
        """
        return open_source(self.source_spec(SourceRef(connector_id, ""), root=root))

    def source_spec(self, ref: SourceRef, root: str | Path | None = None) -> SourceSpec:
        """Say where a table is, for the process that will read it."""
        if ref.connector_id in UPLOADS:
            return SourceSpec("upload", str(self.home.uploads), ref.table)
        if root is None:
            record = self.connector(ref.connector_id.removeprefix(_LOCAL))
            directory = self._allowed(record.root or "")
        else:
            directory = self._allowed(root)
        roots = tuple(str(r) for r in self.settings.data_roots)
        return SourceSpec("directory", str(directory), ref.table, roots)

    def infer_table(
        self, ref: SourceRef, spec: TableSpec | None = None, *, root: str | Path | None = None
    ) -> TableProposal:
        """Propose types, primary key and time column of a source table, each with its reason."""
        from relcast.snapshots import TableSpec, infer_table

        source = self.source(ref.connector_id, root)
        return infer_table(
            source, ref.table, spec or TableSpec(name=ref.table), threads=self.settings.threads
        )

    def infer_links(self, graph: Graph, sources: Mapping[str, SourceRef]) -> list[LinkProposal]:
        """Propose links between the tables of a graph from names and values, with reasons."""
        from relcast.jobs.inferring import infer_links

        opened = {table: (self.source(ref.connector_id), ref) for table, ref in sources.items()}
        return infer_links(graph, opened, threads=self.settings.threads)

    def create_graph(
        self, graph: Graph, sources: Mapping[str, SourceRef], name: str | None = None
    ) -> GraphRecord:
        """Store a graph and where its tables come from; the same content is the same id.

        Raises ``graph.source_missing`` when a table has no source.
        """
        missing = [table for table in graph.tables if table not in sources]
        if missing:
            raise InvalidRequest(
                f"Table {missing[0]!r} of the graph has no source",
                code="graph.source_missing",
                hint="Name a connector and a source table for every table.",
            )
        where = {table: sources[table] for table in graph.tables}
        return self.catalog.graphs.put(graph, where, checked_name(name))

    def graph_from_source(
        self,
        connector_id: str,
        root: str | Path | None = None,
        tables: Sequence[str] | None = None,
        overrides: Mapping[str, Any] | None = None,
        name: str | None = None,
    ) -> GraphRecord:
        """Make a graph of a source's tables by inference; ``record.reasons`` says why.

        ``tables`` picks some (None: all). ``overrides`` is ``{"tables": {name: {"primary_key",
        "time_column", "end_time_column", "dtypes", "stypes", "columns", "known_at", "known_after",
        "mutable"}}, "links": [{"table", "foreign_key", "to"}]}``; given links replace the inferred
        ones. A ``root`` becomes a connector of its own, so that the graph can be read again.
        """
        from relcast.jobs.inferring import infer_graph

        if root is not None:
            connector_id = self._connector_of(self._allowed(root)).id
        source = self.source(connector_id)
        graph, reasons = infer_graph(source, tables, overrides or {}, threads=self.settings.threads)
        where = {table: SourceRef(connector_id, table) for table in graph.tables}
        return self.catalog.graphs.put(graph, where, checked_name(name), reasons)

    def graph(self, id_or_name: str) -> GraphRecord:
        """Return a graph; raises ``graph.not_found``."""
        return self.catalog.graphs.get(id_or_name)

    def graphs(self) -> list[GraphRecord]:
        """Return every graph, newest first."""
        return self.catalog.graphs.all()

    def submit_ingest(
        self,
        graph_id: str,
        *,
        tags: Mapping[str, str] | None = None,
        idempotency: str | None = None,
        owner: str = "",
    ) -> str:
        """Start copying a graph's tables from their sources; return the ingest job's id."""
        record = self.graph(graph_id)
        job_id = new_id(JobKind.ingest.prefix)
        with self.catalog.transaction():
            self.catalog.jobs.add(
                job_id,
                JobKind.ingest,
                config={"graph_id": record.id},
                graph_id=record.id,
                tags=checked_tags(tags),
                stages=("Ingestion",),
                max_queue=self.settings.max_queue,
            )
            if idempotency is not None:
                self.catalog.idempotency.made(idempotency, job_id, owner=owner)
        self._wake()
        return job_id

    def snapshot_graph(self, graph_id: str, *, refresh: bool = True) -> GraphSnapshotRecord:
        """Start a snapshot of a graph and return it at once; ask ``graph_snapshot`` how it goes.

        Without ``refresh``, the newest snapshot that is done serves, when there is one.
        """
        record = self.graph(graph_id)
        if not refresh:
            for job in self.catalog.jobs.page(
                kind=JobKind.ingest, state=JobState.DONE, limit=200
            ).items:
                if job.graph_id == record.id:
                    return self.graph_snapshot(f"{record.id}@{job.id}")
        return self.graph_snapshot(f"{record.id}@{self.submit_ingest(record.id)}")

    def graph_snapshot(self, snapshot_ref: str) -> GraphSnapshotRecord:
        """Return a snapshot by its id ``<graph>@<job>``; raises ``snapshot.not_found``."""
        graph_id, _, job_id = snapshot_ref.partition("@")
        try:
            job = self.catalog.jobs.get(job_id)
        except NotFound:
            job = None
        if job is None or job.graph_id != graph_id or job.kind is not JobKind.ingest:
            raise NotFound(
                f"There is no graph snapshot {snapshot_ref!r}",
                code="snapshot.not_found",
                hint="Snapshot the graph again and use the id that you are given.",
            )
        result = job.result or {}
        return GraphSnapshotRecord(
            id=snapshot_ref,
            graph_id=graph_id,
            job_id=job.id,
            state=job.state,
            error=job.error,
            snapshot_id=result.get("snapshot_id"),
            tables=result.get("tables", {}),
            created_at=job.created_at,
        )

    def _allowed(self, root: str | Path) -> Path:
        """Return a directory, links resolved, that lies below the data roots."""
        path = Path(root).expanduser().resolve()
        if not any(path.is_relative_to(r) for r in self.settings.data_roots):
            raise SourceError(
                f"{root} is outside the directories that relcast may read",
                code="source.outside_roots",
                hint="Add its parent to RELCAST_DATA_ROOTS and start relcast again.",
            )
        if not path.is_dir():
            raise SourceError(
                f"{root} is no directory",
                code="source.no_directory",
                hint="Give the directory that holds the tables' files.",
            )
        return path

    def _connector_of(self, directory: Path) -> ConnectorRecord:
        """Return the connector of a directory, made when there is none."""
        for record in self.connectors():
            if record.root == str(directory):
                return record
        connector_id = content_id("connector", str(directory))
        try:
            return self.catalog.connectors.add(
                connector_id, f"{directory.name} ({connector_id[-6:]})", "file", str(directory)
            )
        except Conflict:  # another call was first
            return self.connector(connector_id)
