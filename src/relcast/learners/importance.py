"""Global importance: how much features move predictions, summed by table, column and window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from relcast.learners.protocol import Asked, Contributions, Predictor, Ranker, is_ranker
from relcast.learners.trees import TreeModel, chunks

if TYPE_CHECKING:
    from relcast.relations import Relations

__all__ = ["FeatureImportance", "Importance", "make_importance", "tree_importance"]

_ROWS = 1_000
_ASKED_ROWS = 200
_ALL = 1_000_000


@dataclass(frozen=True, slots=True)
class FeatureImportance:
    """A feature and its share of all movement of the raw score, between 0 and 1."""

    name: str
    table: str
    column: str | None
    window: str | None
    share: float

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "table": self.table,
            "column": self.column,
            "window": self.window,
            "share": self.share,
        }


@dataclass(frozen=True)
class Importance:
    """Shares of the mean absolute contribution over a sample; each listing adds up to one.

    Attributes:
        features: Most important first.
        rows: Rows of the sample.
    """

    features: tuple[FeatureImportance, ...] = ()
    rows: int = 0

    def by_table(self) -> dict[str, float]:
        return self._sums(lambda f: f.table)

    def by_column(self) -> dict[str, float]:
        """Return shares by ``table.column``; ``table.*`` for features that count rows."""
        return self._sums(lambda f: f"{f.table}.{f.column or '*'}")

    def by_window(self) -> dict[str, float]:
        """Return shares by window; features without one stand under ``no window``."""
        return self._sums(lambda f: f.window or "no window")

    def _sums(self, name: Any) -> dict[str, float]:
        total: dict[str, float] = {}
        for feature in self.features:
            total[name(feature)] = total.get(name(feature), 0.0) + feature.share
        return dict(sorted(total.items(), key=lambda item: -item[1]))

    def to_json(self) -> dict[str, Any]:
        return {
            "features": [feature.to_json() for feature in self.features],
            "tables": self.by_table(),
            "columns": self.by_column(),
            "windows": self.by_window(),
            "rows": self.rows,
        }

    @classmethod
    def from_json(cls, obj: Mapping[str, Any]) -> Importance:
        return cls(
            features=tuple(FeatureImportance(**feature) for feature in obj["features"]),
            rows=obj["rows"],
        )


def make_importance(
    model: Predictor | Ranker, relations: Relations, asked: Asked, *, seed: int, threads: int
) -> Importance:
    """Return the importance of what a fitted learner reads, on a seeded sample of examples.

    Of trees by TreeSHAP on 1,000 rows; of others by their own explanations of 200 rows: of the best
    class, of the first step, of a ranking's first item.
    """
    if isinstance(model, TreeModel):
        return tree_importance(model, relations, asked, seed=seed, threads=threads)
    chosen = np.random.default_rng([seed, 23]).permutation(len(asked))[:_ASKED_ROWS]
    part = asked.take(np.sort(chosen))
    if not is_ranker(model):
        said = cast("Predictor", model).explain(relations, part, top=_ALL, threads=threads)
        return _explained(said, len(part))
    first = model.rank(relations, part, k=1, threads=threads).items[:, 0]
    there = np.flatnonzero(first >= 0)
    part, first = part.take(there), first[there]
    said = model.explain_items(relations, part, first, top=_ALL, threads=threads)
    return _explained(said, len(part))


def _explained(said: Contributions, rows: int) -> Importance:
    total: dict[tuple[str, str, str | None, str | None], float] = {}
    for reasons in said.reasons:
        for reason in reasons:
            name = (reason["feature"], reason["table"], reason["column"], reason["window"])
            total[name] = total.get(name, 0.0) + abs(reason["contribution"])
    whole = sum(total.values())
    ordered = sorted(total.items(), key=lambda item: (-item[1], item[0][0]))
    return Importance(
        tuple(FeatureImportance(*name, value / whole) for name, value in ordered if value > 0), rows
    )


def tree_importance(
    model: TreeModel, relations: Relations, asked: Asked, *, seed: int, threads: int
) -> Importance:
    """Return the importance of a model's features on a seeded sample of at most 1,000 rows."""
    count = len(model.features.features)
    chosen = np.sort(np.random.default_rng([seed, 23]).permutation(len(asked))[:_ROWS])
    total = np.zeros(count)
    for part in chunks(len(chosen), 2 * count * model.outputs):
        values = model.matrix(relations, asked.take(chosen[part]), threads)
        total += np.abs(model.shap(values, threads)[:, :, :-1]).sum(axis=(0, 1))
    whole = float(total.sum())
    shares = total / whole if whole > 0 else total
    order = np.argsort(-shares, kind="stable")
    listed = tuple(
        FeatureImportance(f.name, f.table, f.column, f.window, float(shares[i]))
        for i, f in ((int(i), model.features.features[int(i)]) for i in order)
        if shares[i] > 0
    )
    return Importance(listed, len(chosen))
