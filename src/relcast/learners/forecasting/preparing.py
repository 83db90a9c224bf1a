"""How a query's examples are read: windows, rhythms, how far back, and what rules fall back on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from relcast.learners.features.target import Target as WindowTarget
from relcast.learners.forecasting.baselines import RuleForecast, constants
from relcast.learners.forecasting.grid import Grid
from relcast.learners.forecasting.past import Rule
from relcast.learners.forecasting.reader import Reader
from relcast.learners.metrics import is_greater_better
from relcast.learners.protocol import Fold, Predictor

if TYPE_CHECKING:
    from relcast.learners.features import FeatureSet
    from relcast.learners.folds import Folds
    from relcast.pql.ast import CheckedQuery
    from relcast.relations import Relations

__all__ = [
    "best_rule",
    "errors",
    "hold_back",
    "is_squared",
    "make_baselines",
    "make_reader",
]

Float = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]

_FLOOR_OF_LEVEL = 0.05
_LOOKED_AT = 20_000
"""(Example, step) rows that rules are chosen on."""
_DECIDING_ANCHORS = 8
_LEFT_TO_LEARN = 0.8
_NEWEST = 8


def make_reader(
    relations: Relations,
    query: CheckedQuery,
    features: FeatureSet,
    train: Fold,
    *,
    newest: int | None = None,
    years: bool = True,
) -> Reader:
    """Return the reader of a query with all columns and all features.

    How far back it looks is what the training side's data spans; nothing later is read. ``newest``
    is how many of the last windows are columns by themselves (None: eight); without ``years`` no
    rhythm of the year is looked for.
    """
    if features.target is None:
        features = replace(features, target=WindowTarget.of(query.query.target))
    if features.target is None or train.asked.known is None:
        raise AssertionError("a forecast's target has a window, and its examples anchors")
    grid = Grid.of(query)
    table = relations.table(features.target.aggregations[0].table)
    span = 0
    if table.time is not None and len(table.order):
        span = int(train.asked.known.max()) - int(table.time[table.order[0]])
    reach = grid.reach(max(0, span))
    size = float(np.abs(train.label).mean())
    reader = Reader(
        grid=grid,
        seasons=tuple(s for s in grid.seasons(reach) if years or s.name != "year"),
        reach=reach,
        newest=min(_NEWEST if newest is None else newest, reach),
        least=_FLOOR_OF_LEVEL * size if 0 < size < np.inf else 1.0,
        otherwise=float(np.median(train.label)),
        features=features,
        columns=np.zeros(0, dtype=np.int64),
    )
    return replace(reader, columns=np.arange(len(reader.steps.names)))


def best_rule(
    reader: Reader,
    relations: Relations,
    train: Fold,
    rules: tuple[Rule, ...],
    *,
    squared: bool,
    threads: int,
) -> Rule:
    """Return the rule with the least error on a sample of training rows; the first of equals."""
    sample = _sample(train, reader.grid.horizon)
    bare = reader.select(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))
    batch = bare.read(relations, sample.asked, rules, threads)
    losses = [errors(sample.label, batch.bases[rule], squared=squared) for rule in rules]
    return rules[int(np.argmin(losses))]


def errors(label: Float, said: Float, *, squared: bool) -> float:
    """Return the mean absolute or squared error; what is beyond all numbers is infinite."""
    with np.errstate(over="ignore", invalid="ignore"):
        away = np.abs(label - said)
        value = float((away**2).mean() if squared else away.mean())
    return value if np.isfinite(value) else np.inf


def make_baselines(
    relations: Relations, query: CheckedQuery, folds: Folds, features: FeatureSet
) -> list[Predictor]:
    """Return what a forecast must beat, the ones of everybody first.

    Global mean and median by step; the last value, moving averages and the entity's mean; and, of
    the rhythms that the windows allow, the one with the least error on training rows: its seasonal
    naive forecast and its seasonal mean. The year is there whenever the data shows one.
    """
    target, train = folds.target, folds.train
    found: list[Predictor] = [*constants(target, train.label, train.weight)]
    reader = make_reader(relations, query, features, train)
    bare = reader.select(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))
    naive = tuple(Rule("season", season.length) for season in reader.seasons)
    rules = [Rule("last"), Rule("always")]
    rules += [Rule("mean", k) for k in (4, 13, 52) if k <= reader.reach]
    if naive:
        chosen = best_rule(bare, relations, train, naive, squared=False, threads=1)
        years = [s.length for s in reader.seasons if s.name == "year"]
        lengths = dict.fromkeys([chosen.length, *years])
        rules += [Rule(kind, n) for n in lengths for kind in ("season", "season mean")]
    return [*found, *(RuleForecast(target, bare, rule) for rule in rules)]


def hold_back(grid: Grid, train: Fold, valid: Fold) -> tuple[Fold, Fold | None]:
    """Hold the newest training anchors back, to choose by, where validation has few anchors.

    One anchor is one draw of what moves all entities at once; settings that are chosen on it follow
    its accidents. So the newest training anchors join the validation rows, up to eight anchors in
    all. Examples whose windows reach into those of the first one held are in neither part; where
    that would leave less than four fifths of the anchors to learn from, nothing is held back.

    Returns:
        The older part, and the newest; None where nothing is held back.
    """
    asked, held = train.asked.anchor, valid.asked.anchor
    if asked is None or held is None:
        return train, None
    anchors = np.unique(asked)
    wanted = min(_DECIDING_ANCHORS - len(np.unique(held)), len(anchors) // 5)
    if wanted < 1:
        return train, None
    first = anchors[-wanted]
    ends = grid.edges(anchors)[:, -1]
    before = anchors[ends <= grid.edges(first[None])[0, 0]]
    if len(before) < _LEFT_TO_LEARN * len(anchors):
        return train, None
    older, newer = np.flatnonzero(asked <= before[-1]), np.flatnonzero(asked >= first)
    return _taken(train, older), _taken(train, newer)


def _taken(fold: Fold, rows: Index) -> Fold:
    return fold.take(rows, None if fold.weight is None else fold.weight[rows])


def is_squared(metric: str) -> bool:
    """Whether a tune metric is one of squared errors."""
    return metric in {"mse", "rmse"} or is_greater_better(metric)


def _sample(train: Fold, horizon: int) -> Fold:
    rows = np.arange(len(train))
    most = max(200, _LOOKED_AT // horizon)
    if len(rows) > most:
        rows = np.sort(np.random.default_rng([len(train), 31]).permutation(len(train))[:most])
    return _taken(train, rows)
