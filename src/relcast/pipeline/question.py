"""A checked query over linked tables: said back, outlined, made a table of, fitted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from relcast.core.errors import TaskError
from relcast.core.schema import TaskType
from relcast.pipeline.bars import Listening, listener
from relcast.pipeline.checking import check_against
from relcast.pipeline.data import Data
from relcast.pipeline.model import Model, arrow_rows

if TYPE_CHECKING:
    import pandas as pd

    from relcast.pql import CheckedQuery
    from relcast.tasks import Outline, TablePlan, TrainingTable

__all__ = ["PredictiveQuery"]


@dataclass(frozen=True)
class PredictiveQuery:
    """A checked query over linked tables."""

    data: Data = field(repr=False)
    checked: CheckedQuery = field(repr=False)

    @property
    def text(self) -> str:
        return self.checked.text

    @property
    def task_type(self) -> TaskType:
        return self.checked.task_type

    def describe(self) -> str:
        """Say the query back in plain English."""
        from relcast.pql import describe

        return describe(self.checked)

    def outline(self, *, figures: bool = True, progress: Listening = False, **plan: Any) -> Outline:
        """Say what the training table would be: anchors, splits, targets, what is left out and why.

        ``plan`` holds options of ``TablePlan``. Without ``figures`` no label is computed. A table
        that cannot be made is no error: ``outline().fault`` says why, and what mends it.
        """
        from relcast.tasks import TablePlan, outline, sketch

        options, data = TablePlan.from_json(plan), self.data
        checked, threads = self._under(options), data.settings.threads
        if not figures:
            return sketch(data.snapshot, checked, options, threads=threads)
        heard = listener(progress)
        return outline(data.snapshot, data.relations, checked, options, heard, threads=threads)

    def statistics(self, **plan: Any) -> pd.DataFrame:
        """Return the training table's figures, one row an anchor (a split for static queries).

        Columns: ``split`` (train, val, test, left out, empty), ``labels_after`` and
        ``labels_until`` (the label windows), ``rows``, and what there is to say of the targets:
        ``positives``, ``mean``, …. Raises ``TaskError`` where no table can be made; ``outline``
        then says what there is.
        """
        from relcast.pipeline.figures import frame_of

        return frame_of(self.outline(**plan))

    def label_sql(
        self,
        dialect: str = "duckdb",
        *,
        anchors: Iterable[datetime | int] | None = None,
        tables: Mapping[str, str | tuple[str, ...]] | None = None,
        row_order: Mapping[str, str] | None = None,
        **plan: Any,
    ) -> str:
        """Return one SELECT that computes the labels in a warehouse.

        Args:
            dialect: duckdb, postgres, spark, databricks, snowflake or bigquery.
            anchors: Moments (a number is ns UTC); by default those of the training table under
                ``plan``. A static query has none.
            tables: What the warehouse calls a table, where it is another name.
            row_order: A column that numbers the rows of a table without a primary key.
            plan: Options of ``TablePlan``, for the default anchors.

        Raises ``task.unknown_dialect`` and other ``task.*`` errors that name what a dialect cannot
        say.
        """
        from relcast.tasks import TablePlan
        from relcast.tasks.warehouse import label_sql

        checked = self._under(TablePlan.from_json(plan))
        if anchors is None and checked.temporal:
            found = self.outline(figures=False, **plan)
            if found.fault is not None and not found.anchors:
                raise TaskError(found.fault.message, code=found.fault.code, hint=found.fault.hint)
            anchors = [a.anchor for a in found.anchors]
        return label_sql(
            checked,
            self.data.graph,
            None if anchors is None else list(anchors),
            dialect=dialect,
            tables=tables,
            row_order=row_order,
        )

    def training_table(
        self,
        *,
        rows: Any = None,
        allow_unmatched: bool = False,
        progress: Listening = False,
        **plan: Any,
    ) -> TrainingTable:
        """Make the training table, or take ``rows`` (a frame of ENTITY, TIMESTAMP, TARGET, …).

        ``plan`` holds options of ``TablePlan``: split, timeframe_step, start_time, end_time, ….
        """
        from relcast.tasks import TablePlan, make_training_table, training_table_from_rows

        snapshot, relations = self.data.snapshot, self.data.relations
        options = TablePlan.from_json(plan)
        if rows is None:
            return make_training_table(
                snapshot,
                relations,
                self._under(options),
                options,
                listener(progress),
                threads=self.data.settings.threads,
            )
        return training_table_from_rows(
            snapshot,
            relations,
            self._under(options),
            arrow_rows(rows),
            options,
            allow_unmatched=allow_unmatched,
        )

    def fit(
        self,
        run_mode: str = "fast",
        *,
        table: TrainingTable | None = None,
        progress: Listening = "auto",
        **plan: Any,
    ) -> Model:
        """Fit the learners of a run mode (debug, fast, normal, best) and keep the best.

        ``plan`` holds further options of ``ModelPlan``: seed, tune_metric, refit_trainval, ….
        """
        from relcast.learners import ModelPlan, fit

        heard = listener(progress)
        if table is None:
            table = self.training_table(progress=heard)
        threads = plan.pop("threads", self.data.settings.threads)
        options = ModelPlan.from_json({"run_mode": run_mode, "threads": threads, **plan})
        # A table's plan may have made a forecast of the same words.
        asked = table.query if table.query.text == self.text else self.checked
        fitted = fit(self.data.relations, asked, table, options, heard)
        return Model(fitted, self)

    def _under(self, plan: TablePlan) -> CheckedQuery:
        """Return the query as a plan has it: with a forecast length, it forecasts."""
        if plan.forecast_length is None:
            return self.checked
        return check_against(self.text, self.data.snapshot, forecast_length=plan.forecast_length)
