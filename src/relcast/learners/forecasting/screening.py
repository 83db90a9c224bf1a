"""Which columns a forecast reads: those that vary and are no clocks, and features with gain."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from relcast.learners import boosting
from relcast.learners.forecasting.bench import Bench
from relcast.learners.forecasting.reader import Batch
from relcast.learners.protocol import Fold
from relcast.learners.support import clocks

__all__ = ["screened"]

Float = npt.NDArray[np.float64]
Values = npt.NDArray[np.float32]

_SCREEN_ROWS = 20_000
_SCREEN_ITERATIONS = 100
_KEPT_GAIN = 0.999
_MOST_FEATURES = 60
"""Features of the entity that are kept; each is repeated for every step."""


def screened(bench: Bench, train: Fold, valid: Fold) -> tuple[Bench, tuple[str, ...]]:
    """Keep columns that vary and are no clocks, and the features that carry gain.

    Beside them, the names of the clocks.
    """
    reader, settings = bench.model.reader, bench.settings
    rng = np.random.default_rng([settings.seed, 5])
    most = max(200, _SCREEN_ROWS // bench.target.horizon)
    sample = _some(train, most, rng)
    rules = bench.bases
    batch = reader.read(bench.relations, sample.asked, rules, settings.threads)
    later = _some(valid, most, rng)
    ahead = reader.read(bench.relations, later.asked, (), settings.threads)
    matrix = batch.values
    varied = _varied(matrix)
    if sample.asked.anchor is None:
        raise AssertionError("a forecast has anchors")
    moments = reader.grid.middles(sample.asked.anchor).ravel()
    clock = varied & clocks(matrix, moments, ahead.values)
    names = reader.names
    left_out = tuple(names[k] for k in np.flatnonzero(clock))
    kept = varied & ~clock
    own = len(reader.columns)
    features = np.flatnonzero(kept[own:])
    most_features = min(_MOST_FEATURES, settings.budget.features)
    if len(features) > most_features // 4:
        gain = _gain(bench, batch, sample, kept)[own:]
        order = np.argsort(-gain, kind="stable")
        total = np.cumsum(gain[order])
        enough = int(np.searchsorted(total, _KEPT_GAIN * total[-1])) + 1
        useful = order[: min(enough, most_features)]
        features = np.sort(useful[gain[useful] > 0])
    columns = np.flatnonzero(kept[:own])
    if not len(columns):
        columns = np.zeros(1, dtype=np.int64)
    chosen = reader.select(columns, features)
    return replace(bench, model=replace(bench.model, reader=chosen)), left_out


def _gain(bench: Bench, batch: Batch, sample: Fold, kept: npt.NDArray[np.bool_]) -> Float:
    frame = bench.frame(bench.bases[0], relative=True)
    matrix = batch.matrix(relative=True).copy()
    matrix[:, ~kept] = np.nan
    first = bench.proposals(len(matrix), 0.08).propose(0, None)
    data = bench.data(frame, matrix, batch, sample, None)
    grown = boosting.grow(
        first,
        data,
        None,
        iterations=_SCREEN_ITERATIONS,
        patience=_SCREEN_ITERATIONS,
        seed=bench.settings.seed,
        threads=bench.settings.threads,
        deadline=bench.settings.deadline,
    )
    return grown.gain


def _some(fold: Fold, most: int, rng: np.random.Generator) -> Fold:
    rows = np.arange(len(fold))
    if len(rows) > most:
        rows = np.sort(rng.permutation(len(fold))[:most])
    return fold.take(rows, None if fold.weight is None else fold.weight[rows])


def _varied(matrix: Values) -> npt.NDArray[np.bool_]:
    """Return which columns have two values, or one and gaps."""
    with np.errstate(invalid="ignore"):
        most = np.nan_to_num(matrix, nan=-np.inf).max(axis=0, initial=-np.inf)
        least = np.nan_to_num(matrix, nan=np.inf).min(axis=0, initial=np.inf)
    missing = np.isnan(matrix).any(axis=0)
    varied: npt.NDArray[np.bool_] = (most > least) | (missing & (most >= least))
    return varied
