"""The platform's part for predictive queries and their models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from relcast.catalog import JobState, ModelRecord, Page, QueryRecord
from relcast.core.errors import Conflict, InvalidRequest
from relcast.core.schema import TaskType
from relcast.core.settings import Compatibility
from relcast.jobs.checking import Checking
from relcast.jobs.rooms import checked_name, plain

__all__ = ["Asking"]


class Asking(Checking):
    """Queries, models, promotion and the model report."""

    def create_query(
        self,
        name: str | None,
        text: str,
        graph_id: str,
        description: str = "",
        plan: Mapping[str, Any] | None = None,
        *,
        compatibility: Compatibility | None = None,
    ) -> QueryRecord:
        """Save a query; raises ``pql.*``, ``graph.not_found``, ``query.name_taken``.

        ``plan`` is ``{"table": TablePlan JSON, "model": ModelPlan JSON}``, both optional.
        ``compatibility="kumo"`` refuses our extensions of the language.
        """
        graph = self.catalog.graphs.get(graph_id)
        checked = self.validate_query(text, graph.id, compatibility=compatibility)
        task = TaskType(checked.task_type)
        return self.catalog.queries.add(
            checked_name(name),
            text,
            graph.id,
            task,
            description,
            checked_plan(plan, task),
        )

    def query(self, id_or_name: str) -> QueryRecord:
        """Return a query; raises ``query.not_found``."""
        return self.catalog.queries.get(id_or_name)

    def queries(self) -> list[QueryRecord]:
        """Return every saved query, the last changed first."""
        return self.catalog.queries.all()

    def update_query(
        self,
        id_or_name: str,
        *,
        name: str | None = None,
        text: str | None = None,
        graph_id: str | None = None,
        description: str | None = None,
        plan: Mapping[str, Any] | None = None,
    ) -> QueryRecord:
        """Change what is given. A new text or graph unpromotes the model: it answers the old one.

        Raises as ``create_query`` does.
        """
        query = self.query(id_or_name)
        changes: dict[str, Any] = {}
        if name is not None:
            changes["name"] = checked_name(name)
        if description is not None:
            changes["description"] = description
        new_text = query.text if text is None else text
        new_graph = query.graph_id if graph_id is None else self.catalog.graphs.get(graph_id).id
        if (new_text, new_graph) != (query.text, query.graph_id):
            checked = self.validate_query(new_text, new_graph)
            changes |= {
                "text": new_text,
                "graph_id": new_graph,
                "task_type": TaskType(checked.task_type).value,
                "promoted_model_id": None,
            }
        if plan is not None:
            task = TaskType(changes.get("task_type", query.task_type))
            changes["plan"] = checked_plan(plan, task)
        return self.catalog.queries.update(query.id, changes)

    def delete_query(self, id_or_name: str) -> None:
        """Delete a query; raises ``query.busy`` while one of its jobs waits or runs.

        Its jobs and models stay readable.
        """
        query = self.query(id_or_name)
        with self.catalog.transaction():
            for state in (JobState.RUNNING, JobState.QUEUED, JobState.NOT_STARTED):
                found = self.catalog.jobs.page(query_id=query.id, state=state, limit=1).items
                if found:
                    raise Conflict(
                        f"Job {found[0].id} of this query is {state.value}",
                        code="query.busy",
                        hint="Cancel it, or wait until it has ended.",
                    )
            self.catalog.queries.delete(query.id)

    def models(
        self, query: str | None = None, *, limit: int = 200, offset: int = 0
    ) -> list[ModelRecord]:
        """Return models, newest first: of a query (id or name), or of all.

        At most ``limit`` of them, after ``offset`` of the newest.
        """
        one = None if query is None else self.query(query).id
        return self.catalog.models.all(one, limit, offset)

    def models_page(
        self, query: str | None = None, *, limit: int = 50, cursor: str | None = None
    ) -> Page[ModelRecord]:
        """Return a page of models, newest first: of a query (id or name), or of all.

        Raises ``request.bad_cursor``.
        """
        one = None if query is None else self.query(query).id
        return self.catalog.models.page(one, limit=limit, cursor=cursor)

    def count_models(self) -> int:
        """Return how many models there are, of all queries."""
        return self.catalog.models.count()

    def model(self, model_id: str) -> ModelRecord:
        """Return a model; raises ``model.not_found``."""
        return self.catalog.models.get(model_id)

    def promote(self, model_id: str) -> ModelRecord:
        """Let the model's query predict with it; raises ``model.other_query``.

        That is when the query's text or graph changed after the model was trained.
        """
        model = self.model(model_id)
        query = self.catalog.queries.get(model.query_id)
        if (model.lineage.get("query"), model.graph_id) != (query.text, query.graph_id):
            raise Conflict(
                f"Model {model_id} was trained for an earlier text or graph of this query",
                code="model.other_query",
                hint="Retrain the query, or change it back.",
            )
        return self.catalog.models.promote(model_id)

    def model_report(self, model_id: str) -> dict[str, Any]:
        """Return the model's report as JSON: metrics beside baselines, importance, leaderboard.

        Read from the catalog, not from the bundle. ``holdout`` is the path of the scored test rows,
        or None.
        """
        model = self.model(model_id)
        holdout = self.home.root / model.path / "holdout.parquet"
        return {
            "model_id": model.id,
            "query_id": model.query_id,
            "job_id": model.job_id,
            "task_type": model.task_type.value,
            "promoted": model.promoted,
            **model.evaluation,
            "lineage": dict(model.lineage),
            "holdout": str(holdout) if holdout.exists() else None,
        }


def checked_plan(plan: Mapping[str, Any] | None, task: TaskType) -> dict[str, Any]:
    """Return a query's plan as JSON with both halves read once, so that a bad option fails now."""
    given = plain(plan)
    unknown = sorted(set(given) - {"table", "model"})
    if unknown:
        raise InvalidRequest(
            f"A query's plan has no part {unknown[0]!r}",
            code="query.invalid_plan",
            hint="Its parts are 'table' (the training table) and 'model'.",
        )
    return {"table": table_plan(given.get("table")), "model": model_plan(given.get("model"), task)}


def table_plan(plan: Any) -> dict[str, Any]:
    """Return a training table's plan as JSON; raises ``task.invalid_plan``, ``task.invalid_split``.

    A split that does not read is refused now, and not by a job that fails later.
    """
    from relcast.tasks.plan import TablePlan
    from relcast.tasks.splits import parse_split

    checked = TablePlan.from_json(plain(plan))
    parse_split(checked.split)
    return checked.to_json()


def model_plan(plan: Any, task: TaskType) -> dict[str, Any]:
    """Return a model's plan as JSON; raises ``plan.invalid`` and ``plan.unknown_metric``."""
    from relcast.learners.plan import ModelPlan

    checked = ModelPlan.from_json(plain(plan))
    if checked.metrics is not None or checked.tune_metric is not None:
        checked.metrics_for(task)
    return checked.to_json()
