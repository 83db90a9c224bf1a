"""The platform's part for questions before any job: is a query right, and what would it train on.

Everything that needs data uses the newest snapshot of the graph, and reads no source.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from functools import cached_property
from typing import TYPE_CHECKING, Any

from relcast.core.clock import anchor_time, isoformat
from relcast.core.errors import Conflict, NotFound
from relcast.core.settings import Compatibility
from relcast.jobs.quick_work import Asked, QuickWork
from relcast.jobs.rooms import Rooms, plain
from relcast.pipeline.specs import ExplainSpec, OutlineSpec
from relcast.pql import check

if TYPE_CHECKING:
    from relcast.core.schema import Graph
    from relcast.pql import CheckedQuery
    from relcast.snapshots import Snapshot
    from relcast.sources import SourceRef
    from relcast.tasks import Outline, TablePlan

__all__ = ["Checking"]

_OPEN = 8


class Checking(Rooms):
    """Checks of queries, and outlines of their training tables."""

    def newest_snapshot(self, graph_id: str) -> str:
        """Return the id of the newest snapshot of a graph's data; raises ``snapshot.none`` (409).

        Whatever read the sources counts: an ingest job, or a job that ingested first.
        """
        record = self.catalog.graphs.get(graph_id)
        found = self.catalog.jobs.newest_snapshot(record.id)
        if found is None:
            raise Conflict(
                f"The data of graph {record.name or record.id!r} has not been read yet",
                code="snapshot.none",
                hint=f"POST /api/v1/graphsnapshots?graph_id={record.id} reads it, as do retraining "
                "and the button Read the tables in the UI.",
            )
        return found

    def validate_query(
        self,
        text: str,
        graph_id: str,
        *,
        compatibility: Compatibility | None = None,
        forecast_length: int | None = None,
    ) -> CheckedQuery:
        """Check a query against a graph; raises ``PqlError`` with every fault and its place.

        ``compatibility="kumo"`` refuses our extensions of the language (``pql.extension``).
        """
        record = self.catalog.graphs.get(graph_id)
        return self.check_query(
            text,
            record.graph,
            record.id,
            compatibility=compatibility,
            forecast_length=forecast_length,
        )

    def check_query(
        self,
        text: str,
        graph: Graph,
        graph_id: str | None = None,
        *,
        compatibility: Compatibility | None = None,
        forecast_length: int | None = None,
    ) -> CheckedQuery:
        """Check a query against a graph as it was given, saved under ``graph_id`` or not at all.

        Where the graph's data has been read, a column with exactly two values is a binary target.
        ``forecast_length`` is that of the training table's plan.
        """
        options: dict[str, Any] = {"forecast_length": forecast_length}
        strict = compatibility or self.settings.pql_compatibility
        if strict is not None:
            options["compatibility"] = strict
        known = None if graph_id is None else self.catalog.jobs.newest_snapshot(graph_id)
        if known is not None:
            from relcast.pipeline.checking import category_counts

            with suppress(NotFound):  # a copy that was removed tells nothing
                options["category_counts"] = category_counts(self._opened(known))
        return check(text, graph, **options)

    def saved_graph(self, graph: Graph, sources: Mapping[str, SourceRef]) -> str | None:
        """Return the id under which this very graph is saved; None when it is not."""
        return self.catalog.graphs.find(graph, sources)

    def sketch_query(self, text: str, graph_id: str, plan: Any = None) -> Outline:
        """Say what a query's training table would be: anchors and splits, without its figures.

        Takes milliseconds. Raises ``pql.*``, ``task.invalid_plan``, ``task.invalid_split`` and
        ``snapshot.none``.
        """
        from relcast.tasks import sketch

        snapshot_id, checked, options = self._asked_for(text, graph_id, plan)
        return sketch(
            self._opened(snapshot_id),
            checked,
            options,
            memory_limit=self.settings.engine_memory,
            clock=self.clock,
        )

    def begin_statistics(self, text: str, graph_id: str, plan: Any = None) -> Asked:
        """Begin to compute a query's outline with the figures of its training table.

        The answer's ``result()["outline"]`` is ``Outline.to_json()``. It is computed in a child
        process within ``statistics_seconds``, once for all who ask the same of the same snapshot.
        Raises as ``sketch_query`` does, and ``statistics.busy`` (429).
        """
        snapshot_id, _, options = self._asked_for(text, graph_id, plan)
        spec = OutlineSpec(
            store=str(self.home.snapshots),
            snapshot_id=snapshot_id,
            query=text,
            plan=options.to_json(),
            threads=self.settings.threads,
            memory_limit=self.settings.engine_memory,
        )
        # A plan's times may be days before today.
        key = (snapshot_id, text, json.dumps(spec.plan, sort_keys=True), self.clock().date())
        return self.quick_work.ask(key, "outline", asdict(spec))

    def begin_explanation(
        self,
        model_id: str,
        entity: Any,
        anchor: str | None = None,
        *,
        output: Any = None,
        top: int = 10,
    ) -> Asked:
        """Begin to explain the score of one entity, on the newest snapshot of the model's graph.

        The answer's ``result()["explanation"]`` is ``Explanation.to_json()``. Raises
        ``model.not_found``, ``snapshot.none`` and ``statistics.busy`` (429).
        """
        model = self.catalog.models.get(model_id)
        spec = ExplainSpec(
            store=str(self.home.snapshots),
            snapshot_id=self.newest_snapshot(model.graph_id),
            model=str(self.home.root / model.path),
            entity=entity,
            anchor=isoformat(anchor_time(anchor)),
            output=output,
            top=top,
            threads=self.settings.threads,
        )
        key = (model.id, json.dumps(asdict(spec), sort_keys=True, default=str))
        return self.quick_work.ask(key, "explain", asdict(spec))

    @cached_property
    def quick_work(self) -> QuickWork:
        """The computations that somebody waits for."""
        return QuickWork(self.home, self.settings)

    def _asked_for(
        self, text: str, graph_id: str, plan: Any
    ) -> tuple[str, CheckedQuery, TablePlan]:
        from relcast.tasks.plan import TablePlan
        from relcast.tasks.splits import parse_split

        options = plan if isinstance(plan, TablePlan) else TablePlan.from_json(plain(plan))
        parse_split(options.split)
        checked = self.validate_query(text, graph_id, forecast_length=options.forecast_length)
        return self.newest_snapshot(graph_id), checked, options

    def _opened(self, snapshot_id: str) -> Snapshot:
        """Return a snapshot's record; those opened last are kept, for they never change."""
        kept, lock = self._snapshots_open
        with lock:
            if (found := kept.get(snapshot_id)) is not None:
                kept.move_to_end(snapshot_id)
                return found
        found = self.snapshots.open(snapshot_id)
        with lock:
            kept[snapshot_id] = found
            while len(kept) > _OPEN:
                kept.popitem(last=False)
        return found

    @cached_property
    def _snapshots_open(self) -> tuple[OrderedDict[str, Snapshot], threading.Lock]:
        return OrderedDict(), threading.Lock()
