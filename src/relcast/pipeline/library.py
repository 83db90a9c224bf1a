"""The library: connect, link, ask, fit, look, predict; the same engine as the server's, no server.

    db = relcast.connect("data/")
    graph = db.graph()
    model = relcast.query(graph, "PREDICT …").fit()
    model.metrics
    model.predict().to_pandas()

Everything is kept under the home's ``snapshots``, by content: connecting the same files again
copies nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from relcast.core.clock import anchor_time
from relcast.core.errors import InvalidRequest, TaskError, nearest
from relcast.core.schema import Dtype, Graph, Link, Stype, TaskType
from relcast.core.settings import Settings
from relcast.pipeline.bars import Listening, listener

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from relcast.learners import Evaluation, FittedModel
    from relcast.pql import CheckedQuery
    from relcast.relations import Relations
    from relcast.snapshots import Snapshot
    from relcast.sources import Source
    from relcast.tasks import PredictionTable, TrainingTable

__all__ = [
    "Data",
    "Database",
    "Model",
    "Predictions",
    "PredictiveQuery",
    "connect",
    "load",
    "query",
]


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
            progress: ``auto`` draws bars where somebody can see them.
        """
        from relcast.relations import build
        from relcast.snapshots import INFER, SnapshotStore, TableSpec

        store = SnapshotStore(self.settings.home / "snapshots")
        names = list(tables or self.tables)
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


def _of(table: str, by_column: Mapping[str, str] | None) -> Iterable[tuple[str, str]]:
    prefix = f"{table}."
    return [
        (name.removeprefix(prefix), word)
        for name, word in (by_column or {}).items()
        if name.startswith(prefix)
    ]


@dataclass(frozen=True)
class Data:
    """Linked tables at one moment: an immutable snapshot, ready to be asked."""

    snapshot: Snapshot
    relations: Relations = field(repr=False)
    settings: Settings = field(repr=False)

    @property
    def graph(self) -> Graph:
        return self.snapshot.graph

    @property
    def tables(self) -> pd.DataFrame:
        """One row a table: rows kept and dropped, key and time column."""
        import pandas as pd

        return pd.DataFrame(
            [
                {
                    "table": t.name,
                    "rows": t.rows,
                    "dropped": t.report.rows_read - t.report.rows_kept,
                    "primary key": t.table.primary_key,
                    "time column": t.table.time_column,
                }
                for t in self.snapshot.tables.values()
            ]
        )

    @property
    def links(self) -> pd.DataFrame:
        """One row a link: how many keys match, dangle or are missing, and the fan-out."""
        import pandas as pd

        return pd.DataFrame(
            [
                {
                    "link": str(health.link),
                    "rows": health.children,
                    "match rate": health.match_rate,
                    "dangling": health.dangling,
                    "missing": health.null,
                    "mean fan-out": health.fan_out_mean,
                    "largest fan-out": health.fan_out_max,
                }
                for health in self.snapshot.links
            ]
        )

    def query(self, text: str) -> PredictiveQuery:
        """Check a predictive query against these tables; raises ``PqlError`` with every fault."""
        from relcast.pql import check

        return PredictiveQuery(self, check(text, self.graph))


def query(data: Data, text: str) -> PredictiveQuery:
    """Check a predictive query against linked tables; raises ``PqlError`` with every fault."""
    return data.query(text)


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

    def training_table(
        self, *, rows: Any = None, allow_unmatched: bool = False, **plan: Any
    ) -> TrainingTable:
        """Make the training table, or take ``rows`` (a frame of ENTITY, TIMESTAMP, TARGET, …).

        ``plan`` holds options of ``TablePlan``: split, timeframe_step, start_time, end_time, ….
        """
        from relcast.tasks import TablePlan, make_training_table, training_table_from_rows

        snapshot, relations = self.data.snapshot, self.data.relations
        options = TablePlan.from_json(plan)
        if rows is None:
            return make_training_table(
                snapshot, relations, self.checked, options, threads=self.data.settings.threads
            )
        return training_table_from_rows(
            snapshot,
            relations,
            self.checked,
            _arrow(rows),
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
            with heard.stage("Training table", unit="rows") as stage:
                table = self.training_table()
                count = len(table.examples.entity)
                stage.update(count, count, detail=f"{count:,} rows")
        threads = plan.pop("threads", self.data.settings.threads)
        options = ModelPlan.from_json({"run_mode": run_mode, "threads": threads, **plan})
        fitted = fit(self.data.relations, self.checked, table, options, heard)
        return Model(fitted, self)


@dataclass(frozen=True)
class Model:
    """A fitted model, with the query that it answers."""

    fitted: FittedModel = field(repr=False)
    query: PredictiveQuery

    @property
    def evaluation(self) -> Evaluation:
        return self.fitted.evaluation

    @cached_property
    def metrics(self) -> pd.DataFrame:
        """The model and every baseline, one row each, by split and metric."""
        import pandas as pd

        evaluation = self.evaluation
        rows = {f"{evaluation.learner} (published)": evaluation.model, **evaluation.baselines}
        values = [
            (name, split, metric, measured.value)
            for name, splits in rows.items()
            for split, figures in splits.items()
            for metric, measured in figures.metrics.items()
        ]
        frame = pd.DataFrame(values, columns=["learner", "split", "metric", "value"])
        wide = frame.pivot_table(
            index="learner", columns=["split", "metric"], values="value", sort=False, dropna=False
        )
        return wide.rename_axis(index=None)

    def importance(self, by: str = "feature") -> pd.DataFrame:
        """Return shares of what mattered, by ``feature``, ``table``, ``column`` or ``window``."""
        import pandas as pd

        importance = self.fitted.importance
        shares = {
            "feature": lambda: {f.name: f.share for f in importance.features},
            "table": importance.by_table,
            "column": importance.by_column,
            "window": importance.by_window,
        }
        if by not in shares:
            raise InvalidRequest(f"Importance by {by!r} is not kept", hint=nearest(by, shares))
        return pd.DataFrame(shares[by]().items(), columns=[by, "share"])

    def holdout(self) -> pd.DataFrame:
        """Return the test rows with target and prediction; every test metric follows from them."""
        if self.fitted.holdout is None:
            raise TaskError(
                "This model was fitted without test rows",
                code="task.no_holdout",
                hint="Fit on a training table that has a test split.",
            )
        frame: pd.DataFrame = self.fitted.holdout.to_pandas()
        return frame

    def predict(
        self,
        anchor: str | datetime | None = None,
        *,
        rows: Any = None,
        data: Data | None = None,
        threshold: float | None = None,
        num_classes: int | None = None,
        progress: Listening = "auto",
    ) -> Predictions:
        """Score every eligible entity at ``anchor`` (default: the latest time in the data).

        ``rows`` (ENTITY [, TIMESTAMP]) takes the place of the generated entities; ``data`` is a
        newer copy of the tables.
        """
        from relcast.tasks import make_prediction_table, prediction_table_from_rows

        source = data or self.query.data
        threads = source.settings.threads
        checked = source.query(self.query.text).checked
        if rows is None:
            table = make_prediction_table(
                source.snapshot, source.relations, checked, anchor_time(anchor), threads=threads
            )
        else:
            table = prediction_table_from_rows(
                source.snapshot, source.relations, checked, _arrow(rows)
            )
        scores = self.fitted.predict(
            source.relations,
            table.entity,
            table.anchor,
            threads=threads,
            progress=listener(progress),
        )
        output = self.fitted.to_output(scores, table, threshold=threshold, num_classes=num_classes)
        return Predictions(output, table, self, source)

    def save(self, path: str | Path) -> None:
        """Write the model bundle: LightGBM text, JSON and safetensors; no code."""
        self.fitted.save(Path(path))


def load(path: str | Path, data: Data) -> Model:
    """Load a model bundle, to score ``data``; raises ``ModelError`` when it is no sound bundle."""
    from relcast.learners import FittedModel

    fitted = FittedModel.load(Path(path))
    return Model(fitted, data.query(fitted.query.text))


@dataclass(frozen=True)
class Predictions:
    """Scored entities."""

    table: pa.Table = field(repr=False)
    scored: PredictionTable = field(repr=False)
    model: Model
    data: Data = field(repr=False)

    def __len__(self) -> int:
        return len(self.scored.entity)

    def to_arrow(self) -> pa.Table:
        return self.table

    def to_pandas(self) -> pd.DataFrame:
        """Return a frame with the output columns of the task."""
        frame: pd.DataFrame = self.table.to_pandas()
        return frame

    def reasons(self, entity: Any, top: int = 5) -> pd.DataFrame:
        """Return the strongest reasons of one scored entity: feature, value, contribution."""
        import pandas as pd

        keys = self.scored.keys().to_pylist()
        if entity not in keys:
            raise TaskError(
                f"The entity {entity!r} was not scored",
                code="task.not_scored",
                hint="Entities that were are in to_pandas()['ENTITY'].",
            )
        at = slice(keys.index(entity), keys.index(entity) + 1)
        anchor = None if self.scored.anchor is None else self.scored.anchor[at]
        reasons = self.model.fitted.explain(
            self.data.relations,
            self.scored.entity[at],
            anchor,
            top=top,
            threads=self.data.settings.threads,
        )
        return pd.DataFrame(reasons[0])

    def save(self, path: str | Path) -> tuple[Path, ...]:
        """Write a ``.parquet`` or ``.csv`` file, once and whole, and return what was written."""
        from relcast.outputs import write_table

        return write_table(self.table, Path(path))


def _arrow(rows: Any) -> pa.Table:
    import pyarrow as pa

    if isinstance(rows, pa.Table):
        return rows
    return pa.Table.from_pandas(rows, preserve_index=False)
