"""Snapshots: a graph's tables, copied at one moment by an ingest job.

A graph snapshot's id is ``<graph>@<ingest job>``. The snapshot of its n-th table is that id with
``.n`` behind it, so that the SDK can ask for a table's state before there is anything of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastapi import Request, Response
from fastapi.responses import JSONResponse
from kumoapi.data_snapshot import (
    ColumnStats,
    GraphSnapshotID,
    GraphSnapshotResource,
    GraphSnapshotStage,
    TableSnapshotID,
    TableSnapshotResource,
    TableSnapshotStage,
)
from kumoapi.graph import EdgeHealthResponse, EdgeHealthStatistics, EdgeMatches

from relcast.catalog.records import GraphRecord, GraphSnapshotRecord, JobState
from relcast.core.errors import Conflict, NotFound
from relcast.server.platform_of import platform_of
from relcast.server.routes.tables import single_table_graph
from relcast.server.routing import Routes
from relcast.server.wire.codec import finite, wire_answer
from relcast.server.wire.jobs import error_of, snapshot_state
from relcast.server.wire.late_columns import TableDefinition
from relcast.server.wire.tables import wire_table
from relcast.snapshots import ColumnStatistics, LinkHealth

if TYPE_CHECKING:
    from relcast.jobs import Platform

__all__ = ["routes"]

routes = Routes("snapshots")


@routes.post(
    "/graphsnapshots",
    scope="train",
    summary="Copy a graph's tables as they are now: start an ingest job (SDK)",
    errors=(404, 429),
)
def create_graph_snapshot(
    request: Request, graph_id: str, refresh_source: str = "true"
) -> Response:
    """Unchanged tables keep their version and are not copied again."""
    refresh = refresh_source.lower() in ("true", "1", "yes")
    record = platform_of(request).snapshot_graph(graph_id, refresh=refresh)
    return JSONResponse({"id": record.id})


@routes.get(
    "/graphsnapshots/edge_health/{snapshot_id}",
    scope="read",
    summary="How well the links of a snapshot match (SDK)",
    answer=EdgeHealthResponse,
    errors=(409,),
)
def get_edge_health(request: Request, snapshot_id: str) -> Response:
    platform = platform_of(request)
    record = platform.graph_snapshot(snapshot_id)
    if record.state.is_terminal and record.snapshot_id is None:
        error = error_of(record.error, record.state)
        raise Conflict(
            f"The snapshot failed: {error}", code="snapshot.failed", hint="Take a new snapshot."
        )
    if record.snapshot_id is None:
        return wire_answer(EdgeHealthResponse(is_ready=False, statistics={}))
    links = platform.snapshots.open(record.snapshot_id).links
    return wire_answer(
        EdgeHealthResponse(
            is_ready=True,
            statistics={
                f"{h.link.table}.{h.link.foreign_key}.{h.link.to}": _edge_health(h) for h in links
            },
        )
    )


@routes.get(
    "/graphsnapshots/{snapshot_id}",
    scope="read",
    summary="Get the state of a graph snapshot (SDK)",
    answer=GraphSnapshotResource,
)
def get_graph_snapshot(request: Request, snapshot_id: str) -> Response:
    platform = platform_of(request)
    record = platform.graph_snapshot(snapshot_id)
    graph = platform.graph(record.graph_id)
    return wire_answer(
        GraphSnapshotResource(
            id=GraphSnapshotID(record.id),
            table_ids={
                name: TableSnapshotID(f"{record.id}.{number}")
                for number, name in enumerate(graph.graph.tables)
            },
            stages={GraphSnapshotStage.INGEST: snapshot_state(record)},
            graph_name=graph.name,
        )
    )


@routes.post(
    "/tablesnapshots",
    scope="train",
    summary="Copy one table as it is now: start an ingest job (SDK)",
    errors=(404, 429),
)
def create_table_snapshot(
    request: Request, body: TableDefinition, refresh_source: str = "true"
) -> Response:
    platform = platform_of(request)
    graph = single_table_graph(platform, body)
    refresh = refresh_source.lower() in ("true", "1", "yes")
    record = platform.snapshot_graph(graph.id, refresh=refresh)
    return JSONResponse({"id": f"{record.id}.0"})


@routes.get(
    "/tablesnapshots/{snapshot_id}",
    scope="read",
    summary="Get the state, and the statistics, of one table of a snapshot (SDK)",
    answer=TableSnapshotResource,
)
def get_table_snapshot(request: Request, snapshot_id: str) -> Response:
    platform = platform_of(request)
    found = _TableOfSnapshot.find(platform, snapshot_id)
    state = snapshot_state(found.record)
    return wire_answer(
        TableSnapshotResource(
            id=TableSnapshotID(snapshot_id),
            table_definition=wire_table(
                found.graph.graph.tables[found.table], found.graph.sources[found.table]
            ),
            column_stats=_statistics(platform, found),
            # Statistics are made while the table is copied, so the three stages end together.
            stages=dict.fromkeys(TableSnapshotStage, state),
        )
    )


@dataclass(frozen=True, slots=True)
class _TableOfSnapshot:
    record: GraphSnapshotRecord
    graph: GraphRecord
    table: str

    @classmethod
    def find(cls, platform: Platform, snapshot_id: str) -> _TableOfSnapshot:
        """Find a table of a snapshot by its id; raises ``snapshot.not_found``."""
        graph_snapshot, _, number = snapshot_id.rpartition(".")
        record = platform.graph_snapshot(graph_snapshot)
        graph = platform.graph(record.graph_id)
        names = list(graph.graph.tables)
        if not number.isascii() or not number.isdigit() or int(number[:9]) >= len(names):
            raise NotFound(
                f"There is no table snapshot {snapshot_id!r}",
                code="snapshot.not_found",
                hint="The graph snapshot lists the ids of its tables' snapshots.",
            )
        return cls(record, graph, names[int(number)])


def _statistics(platform: Platform, found: _TableOfSnapshot) -> list[ColumnStats] | None:
    if found.record.state is not JobState.DONE or found.record.snapshot_id is None:
        return None
    table = platform.snapshots.open(found.record.snapshot_id).tables[found.table]
    return [
        ColumnStats(column_name=s.column, stats=finite(_wire_statistics(s)))
        for s in table.statistics
    ]


def _wire_statistics(found: ColumnStatistics) -> dict[str, Any]:
    """Return statistics under the SDK's names; what a column has none of is left out."""
    quantiles = found.quantiles
    named = {
        "COUNT": found.count,
        "NUM_NA": found.nulls,
        "NA_FRACTION": found.null_share,
        "MIN": found.first if found.minimum is None else found.minimum,
        "MAX": found.last if found.maximum is None else found.maximum,
        "MEAN": found.mean,
        "STD": found.deviation,
        "QUANTILE25": quantiles.get("0.25"),
        "MEDIAN": quantiles.get("0.5"),
        "QUANTILE75": quantiles.get("0.75"),
        "NUM_UNIQUE": found.distinct,
        "CATEGORY_COUNTS": dict(found.top) or None,
        "HISTOGRAM": list(found.histogram) or None,
        "STRING_AVG_LEN": found.mean_length,
    }
    return {name: value for name, value in named.items() if value is not None}


def _edge_health(health: LinkHealth) -> EdgeHealthStatistics:
    return EdgeHealthStatistics(
        absolute_match_stats=EdgeMatches(
            src_in_dst=float(health.matched), dst_in_src=float(health.parents_matched)
        ),
        percent_match_stats=EdgeMatches(
            src_in_dst=100.0 * health.match_rate, dst_in_src=100.0 * health.parent_match_rate
        ),
        total_num_edges=health.matched,
    )
