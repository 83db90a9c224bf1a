"""A fitted model and what it predicts, for people in notebooks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from relcast.core.clock import anchor_time
from relcast.core.errors import InvalidRequest, TaskError, nearest
from relcast.pipeline.bars import Listening, listener

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from relcast.learners import Evaluation, FittedModel
    from relcast.learners.explaining import Explanation
    from relcast.pipeline.data import Data
    from relcast.pipeline.question import PredictiveQuery
    from relcast.tasks import PredictionTable

__all__ = ["Model", "Predictions", "arrow_rows", "load"]


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
        k: int | None = None,
        items: Sequence[Any] | None = None,
        levels: Sequence[float] = (),
        progress: Listening = "auto",
    ) -> Predictions:
        """Score every eligible entity at ``anchor`` (default: the latest time in the data).

        ``rows`` (ENTITY [, TIMESTAMP]) takes the place of the generated entities; ``data`` is a
        newer copy of the tables. Of a ranking, ``k`` is how many items an entity gets and ``items``
        names the only ones that may be in it (keys of the item table, or classes). Of a number,
        ``levels`` are quantiles that are wanted too. ``num_classes`` bounds the classes of an
        entity, ``threshold`` decides what is predicted true.
        """
        import pyarrow as pa

        from relcast.learners.scores import to_output
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
                source.snapshot, source.relations, checked, arrow_rows(rows)
            )
        parts = self.fitted.predict_in_parts(
            source.relations,
            table.entity,
            table.anchor,
            k=k,
            among=None if items is None else self.fitted.item_rows(source.relations, items),
            levels=levels,
            threads=threads,
            progress=listener(progress),
        )
        # Of many classes the best few may be wanted only: what is said of all is not kept.
        keys, outputs, begin = table.keys(), [], 0
        for part in parts:
            own = keys.slice(begin, len(part))
            begin += len(part)
            outputs.append(to_output(part, own, threshold=threshold, num_classes=num_classes))
        return Predictions(pa.concat_tables(outputs), table, self, source)

    def explain(
        self,
        entity: Any,
        anchor: str | datetime | None = None,
        *,
        output: Any = None,
        top: int = 10,
        data: Data | None = None,
    ) -> Explanation:
        """Say why an entity gets its score: features, rows that mattered, what without these.

        ``entity`` is a primary key; ``anchor`` defaults to the latest time in the data; ``output``
        names a class, an item or a step (from 1) where there are several predictions. Raises
        ``explain.unknown_entity`` and ``explain.output``.
        """
        from relcast.pipeline.explaining import explain

        source = data or self.query.data
        return explain(
            self.fitted,
            source.relations,
            entity,
            anchor,
            output=output,
            top=top,
            threads=source.settings.threads,
        )

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


def arrow_rows(rows: Any) -> pa.Table:
    """Return rows of a frame (pandas or Arrow) as an Arrow table."""
    import pyarrow as pa

    if isinstance(rows, pa.Table):
        return rows
    return pa.Table.from_pandas(rows, preserve_index=False)
