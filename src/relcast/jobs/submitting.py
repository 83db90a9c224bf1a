"""The platform's part for posting jobs.

A job is acknowledged when its row is in the catalog; whatever dies after that, a worker finds it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from relcast.catalog import JobKind, JobRecord, QueryRecord
from relcast.core.clock import anchor_time, isoformat
from relcast.core.errors import Conflict, InvalidRequest
from relcast.core.ids import new_id
from relcast.jobs.asking import Asking, model_plan, table_plan
from relcast.jobs.connecting import Connecting
from relcast.jobs.following import Following
from relcast.jobs.own_rows import OwnRows, require_columns
from relcast.jobs.rooms import checked_tags, plain
from relcast.pql import CheckedQuery

__all__ = ["Submitting"]

_TRAINING = ("Training", "Evaluation", "Writing")
_PREDICTING = ("Predicting", "Writing")


class Submitting(Connecting, Asking, Following):
    """Jobs of every kind, begun."""

    def submit_training_table(
        self,
        query: str,
        plan: Any = None,
        snapshot: str | None = None,
        tags: Mapping[str, str] | None = None,
        *,
        rows: OwnRows | None = None,
        idempotency: str | None = None,
        owner: str = "",
    ) -> JobRecord:
        """Start making a query's training table; every task type has one.

        ``plan`` is a ``TablePlan`` or its JSON; None takes the query's own. ``snapshot`` is a graph
        snapshot's id (``<graph>@<job>``, which may still run); None ingests first. ``rows`` take
        the place of generated ones.
        """
        record = self.query(query)
        options = table_plan(record.plan.get("table") if plan is None else plan)
        checked = self._checked(record, options)
        config = self._config(record, snapshot) | {"table_plan": options}
        config |= self._rows(rows, checked, targets=True)
        stages = (*self._ingestion(config), "Training table")
        return self._submit(
            JobKind.training_table, record, config, stages, tags, idempotency, owner
        )

    def submit_prediction_table(
        self,
        query: str,
        anchor: datetime | str | None = None,
        snapshot: str | None = None,
        tags: Mapping[str, str] | None = None,
        *,
        rows: OwnRows | None = None,
        idempotency: str | None = None,
        owner: str = "",
    ) -> JobRecord:
        """Start making the table of entities to score at ``anchor`` (None: the newest data)."""
        record = self.query(query)
        checked = self._checked(record)
        config = self._config(record, snapshot) | {"anchor": isoformat(anchor_time(anchor))}
        config |= self._rows(rows, checked, targets=False)
        stages = (*self._ingestion(config), "Predicting")
        return self._submit(
            JobKind.prediction_table, record, config, stages, tags, idempotency, owner
        )

    def submit_training(
        self,
        query: str,
        plan: Any = None,
        training_table_job_id: str | None = None,
        snapshot_ref: str | None = None,
        tags: Mapping[str, str] | None = None,
        *,
        table_plan_override: Any = None,
        rows: OwnRows | None = None,
        promote: bool = False,
        idempotency: str | None = None,
        owner: str = "",
    ) -> JobRecord:
        """Start a training.

        With a training table's job (which may still run), that table and its snapshot are used;
        without, the table is made first, from ``snapshot_ref`` or from a fresh ingestion, and from
        ``rows`` where they are given. The model is promoted when ``promote`` says so or the query
        has no model yet.
        """
        record = self.query(query)
        own_table = record.plan.get("table") if table_plan_override is None else table_plan_override
        if training_table_job_id is not None:
            self._expect(training_table_job_id, JobKind.training_table)
            own_table = self.job(training_table_job_id).config.get("table_plan")
        options = table_plan(own_table)
        checked = self._checked(record, options)
        config = self._config(record, snapshot_ref)
        config |= {
            "model_plan": model_plan(
                record.plan.get("model") if plan is None else plan, checked.task_type
            ),
            "table_plan": options,
            "training_table_job_id": training_table_job_id,
            "promote": promote,
        }
        config |= self._rows(rows, checked, targets=True)
        stages: tuple[str, ...] = _TRAINING
        if training_table_job_id is None:
            stages = (*self._ingestion(config), "Training table", *stages)
        return self._submit(JobKind.training, record, config, stages, tags, idempotency, owner)

    def submit_prediction(
        self,
        model_or_query: str,
        prediction_table_job_id: str | None = None,
        anchor: datetime | str | None = None,
        options: Mapping[str, Any] | None = None,
        outputs: Sequence[Mapping[str, Any]] = (),
        snapshot_ref: str | None = None,
        tags: Mapping[str, str] | None = None,
        *,
        rows: OwnRows | None = None,
        idempotency: str | None = None,
        owner: str = "",
    ) -> JobRecord:
        """Start a batch prediction with a model, with what a training job made, or a query's model.

        ``model_or_query`` is the id of a model, the id of a training job, or a query. The training
        job may still run. ``options``: ``threshold``, ``num_classes`` (classes, or items of a
        ranking), ``items`` (the only ones that may be ranked), ``levels`` (quantiles), ``reasons``
        (how many per row). Raises ``query.no_model``, ``prediction.bad_option`` and
        ``prediction.bad_output``.
        """
        moment = isoformat(anchor_time(anchor))
        model_id, training_job_id, record = self._model_of(model_or_query)
        checked = self._checked(record)
        config = self._config(record, snapshot_ref)
        config |= {
            "model_id": model_id,
            "training_job_id": training_job_id,
            "prediction_table_job_id": prediction_table_job_id,
            "anchor": moment,
            "options": _options(options),
            "outputs": _outputs(outputs),
        }
        if model_id is not None:
            # A model answers the text it was trained for, whatever the query says by now.
            config["query"] = self.model(model_id).lineage["query"]
        config |= self._rows(rows, checked, targets=False)
        stages: tuple[str, ...] = _PREDICTING
        if prediction_table_job_id is None:
            stages = (*self._ingestion(config), *stages)
        else:
            self._expect(prediction_table_job_id, JobKind.prediction_table)
        return self._submit(JobKind.prediction, record, config, stages, tags, idempotency, owner)

    def retrain(
        self,
        query: str,
        overrides: Mapping[str, Any] | None = None,
        *,
        tags: Mapping[str, str] | None = None,
        rows: OwnRows | None = None,
        idempotency: str | None = None,
        owner: str = "",
    ) -> JobRecord:
        """Ingest again, make the training table, train, and promote the model: one training job.

        ``overrides`` is ``{"table": {...}, "model": {...}}``: options that differ from the saved
        plan, for this run. An unchanged source keeps its snapshot.
        """
        record = self.query(query)
        given = plain(overrides)
        unknown = sorted(set(given) - {"table", "model"})
        if unknown:
            raise InvalidRequest(
                f"A retraining has no option {unknown[0]!r}",
                code="query.invalid_plan",
                hint="Give 'table' and 'model' with the options that differ.",
            )
        merged = {
            part: {**record.plan.get(part, {}), **plain(given.get(part))}
            for part in ("table", "model")
        }
        return self.submit_training(
            record.id,
            merged["model"],
            table_plan_override=merged["table"],
            tags=tags,
            rows=rows,
            promote=True,
            idempotency=idempotency,
            owner=owner,
        )

    def predict(
        self,
        query: str,
        options: Mapping[str, Any] | None = None,
        *,
        anchor: datetime | str | None = None,
        outputs: Sequence[Mapping[str, Any]] = (),
        tags: Mapping[str, str] | None = None,
        rows: OwnRows | None = None,
        idempotency: str | None = None,
        owner: str = "",
    ) -> JobRecord:
        """Ingest again and score every entity with the query's promoted model: one prediction job.

        ``options`` may carry ``anchor`` too. Raises ``query.no_model`` (409) when there is none.
        """
        given = plain(options)
        when = given.pop("anchor", None) if anchor is None else anchor
        return self.submit_prediction(
            self.query(query).id,
            anchor=when,
            options=given,
            outputs=outputs,
            tags=tags,
            rows=rows,
            idempotency=idempotency,
            owner=owner,
        )

    def _checked(self, query: QueryRecord, plan: Mapping[str, Any] | None = None) -> CheckedQuery:
        """Check a query under a plan: one that cannot be run is refused now, not by its job."""
        return self.validate_query(
            query.text, query.graph_id, forecast_length=(plan or {}).get("forecast_length")
        )

    def _rows(self, rows: OwnRows | None, query: CheckedQuery, *, targets: bool) -> dict[str, Any]:
        """Return what a job's configuration says of rows of the caller's own."""
        if rows is None:
            return {"rows": None, "allow_unmatched": False}
        require_columns(rows, self.source(rows.ref.connector_id), query, targets=targets)
        return {"rows": rows.to_json(), "allow_unmatched": rows.allow_unmatched}

    def _config(self, query: QueryRecord, snapshot_ref: str | None) -> dict[str, Any]:
        snapshot = None if snapshot_ref is None else self.graph_snapshot(snapshot_ref)
        return {
            "query": query.text,
            "snapshot_ref": snapshot_ref,
            "snapshot_job_id": None if snapshot is None else snapshot.job_id,
        }

    @staticmethod
    def _ingestion(config: Mapping[str, Any]) -> tuple[str, ...]:
        return ("Ingestion",) if config["snapshot_job_id"] is None else ()

    def _expect(self, job_id: str, kind: JobKind) -> None:
        found = self.job(job_id).kind
        if found is not kind:
            raise InvalidRequest(
                f"Job {job_id} makes a {found.value}, not a {kind.value}",
                code="job.wrong_kind",
                hint=f"Name a job of kind {kind.value}.",
            )

    def _model_of(self, name: str) -> tuple[str | None, str | None, QueryRecord]:
        """Return (model id, training job id, query) of what a prediction names."""
        if name.startswith("model-"):
            model = self.model(name)
            return model.id, None, self.catalog.queries.get(model.query_id, deleted=True)
        if name.startswith(f"{JobKind.training.prefix}-"):
            job = self.job(name)
            query = self.catalog.queries.get(str(job.query_id), deleted=True)
            made = self.catalog.models.of_job(job.id)
            return (None, job.id, query) if made is None else (made.id, job.id, query)
        query = self.query(name)
        if query.promoted_model_id is None:
            raise Conflict(
                f"Predictive query {query.name or query.id!r} has no model yet",
                code="query.no_model",
                hint="Retrain it first; its first model is promoted when the training is done.",
            )
        return query.promoted_model_id, None, query

    def _submit(
        self,
        kind: JobKind,
        query: QueryRecord,
        config: Mapping[str, Any],
        stages: Sequence[str],
        tags: Mapping[str, str] | None,
        idempotency: str | None,
        owner: str,
    ) -> JobRecord:
        parents = [
            config[name]
            for name in (
                "snapshot_job_id",
                "training_table_job_id",
                "prediction_table_job_id",
                "training_job_id",
            )
            if config.get(name) is not None
        ]
        job_id = new_id(kind.prefix)
        with self.catalog.transaction():
            self.catalog.jobs.add(
                job_id,
                kind,
                config=config,
                query_id=query.id,
                graph_id=query.graph_id,
                tags=checked_tags(tags),
                parents=parents,
                stages=stages,
                max_queue=self.settings.max_queue,
            )
            if idempotency is not None:
                self.catalog.idempotency.made(idempotency, job_id, owner=owner)
        self._wake()
        return self.job(job_id)


def _options(options: Mapping[str, Any] | None) -> dict[str, Any]:
    known = {"threshold": None, "num_classes": None, "items": None, "levels": (), "reasons": 5}
    given = {**known, **plain(options)}
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise _bad_option(f"A prediction has no option {unknown[0]!r}")
    threshold, classes, reasons = given["threshold"], given["num_classes"], given["reasons"]
    if threshold is not None and not (_number(threshold) and 0 <= threshold <= 1):
        raise _bad_option(f"The threshold {threshold!r} is not a number from 0 to 1")
    if classes is not None and not (_whole(classes) and classes >= 1):
        raise _bad_option(f"num_classes {classes!r} is not a whole number of at least 1")
    if not (_whole(reasons) and 0 <= reasons <= 50):
        raise _bad_option(f"reasons {reasons!r} is not a whole number from 0 to 50")
    items, levels = given["items"], given["levels"]
    if items is not None and not (isinstance(items, list | tuple) and items):
        raise _bad_option("items is not a list of keys")
    if not (isinstance(levels, list | tuple) and all(_number(x) and 0 < x < 1 for x in levels)):
        raise _bad_option(f"levels {levels!r} are not numbers between 0 and 1")
    return {**given, "levels": sorted(set(levels))}


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _bad_option(message: str) -> InvalidRequest:
    return InvalidRequest(
        message,
        code="prediction.bad_option",
        hint="Options: threshold (0..1), num_classes (from 1), items (keys), levels (between 0 and "
        "1), reasons (0..50).",
    )


def _outputs(outputs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Refuse outputs that would be ignored: predictions are files that are downloaded."""
    found = [dict(output) for output in outputs]
    if found:
        raise InvalidRequest(
            "Predictions cannot be written to an output connector",
            code="prediction.bad_output",
            hint="Leave outputs empty and download the files of the job when it is DONE.",
        )
    return found
