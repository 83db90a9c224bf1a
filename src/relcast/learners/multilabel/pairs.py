"""What trees read of one class of one example."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from relcast.learners.multilabel import kernels
from relcast.learners.multilabel.evidence import SIGNS, Evidence, Seen

__all__ = ["MOST_NAMED", "candidates", "categorical", "feature_at", "pair_matrix", "pair_names"]

Float = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
Values = npt.NDArray[np.float32]

MOST_NAMED = 256
"""Up to so many classes trees are told which class it is."""
_ALL = 200
_CANDIDATES = 128
_OF_THE_PAIR = (
    *SIGNS,
    "first score of the class",
    "recent frequency of the class, against its frequency",
    "past windows that held the class",
    "past rows of the class",
    "rows of the class in the last window",
    "rows of the class in the last four windows",
    "windows since the class was last there",
    "classes seen since the class was last there",
    "share of the class in all past rows",
    "place of the class by its first score",
)
_OF_THE_EXAMPLE = (
    "past windows",
    "different classes in the past",
    "classes of a past window",
)


def pair_names(evidence: Evidence) -> tuple[str, ...]:
    """Return the names of the columns."""
    named = ("class",) if evidence.width <= MOST_NAMED else ()
    own = tuple(feature.name for feature in evidence.features.features)
    return (*_OF_THE_PAIR, *_OF_THE_EXAMPLE, *named, *own)


def categorical(evidence: Evidence) -> list[int]:
    """Return which columns are categories."""
    first = len(_OF_THE_PAIR) + len(_OF_THE_EXAMPLE)
    named = evidence.width <= MOST_NAMED
    kinds = [feature.kind for feature in evidence.features.features]
    own = [first + named + k for k, kind in enumerate(kinds) if kind == "category"]
    return ([first] if named else []) + own


def feature_at(evidence: Evidence, column: int) -> Any | None:
    """Return the entity's feature that a column is; None for a column of the pair."""
    first = len(_OF_THE_PAIR) + len(_OF_THE_EXAMPLE) + (evidence.width <= MOST_NAMED)
    return evidence.features.features[column - first] if column >= first else None


def candidates(score: Float) -> Index:
    """Return the classes of each example that are looked at twice, int64[n, m], ascending.

    All of up to 200 classes; of more, the 128 with the best first score.
    """
    n, width = score.shape
    if width <= _ALL:
        return np.tile(np.arange(width), (n, 1))
    best = np.argpartition(-score, _CANDIDATES, axis=1)[:, :_CANDIDATES]
    return np.sort(best, axis=1)


def pair_matrix(evidence: Evidence, seen: Seen, rows: Index, classes: Index) -> Values:
    """Return float32[p, columns] of p pairs: the example's row among ``seen``, and a class."""
    n, width = seen.score.shape
    memory = seen.memory
    there = np.full(len(rows), -1, dtype=np.int64)
    if len(memory.classes):
        keys = memory.rows * width + memory.classes
        order = np.argsort(keys, kind="stable")
        wanted = rows * width + classes
        inside = np.minimum(np.searchsorted(keys[order], wanted), len(keys) - 1)
        there = np.where(keys[order][inside] == wanted, order[inside], -1)
    numbers = np.concatenate([memory.numbers, [[0.0, 0.0, 0.0, 0.0, np.nan]]])[there]
    rank = np.append(memory.rank.astype(np.float64), np.nan)[there]
    score = seen.score[rows, classes]
    place = np.empty(len(rows), dtype=np.float32)
    kernels.places(_best(seen.score), rows, score, place)
    events, windows = memory.events[rows], memory.windows[rows]
    lengths = np.diff(memory.indptr)[rows].astype(np.float64)
    hits = np.bincount(memory.rows, weights=memory.numbers[:, 0], minlength=n)[rows]
    columns: list[npt.NDArray[Any]] = [sign[rows, classes] for sign in seen.signs]
    columns += [
        score,
        np.log(evidence.recent / evidence.prior)[classes],
        *(numbers[:, k] for k in range(5)),
        rank,
        numbers[:, 1] / np.where(events > 0, events, np.nan),
        place,
        windows,
        lengths,
        hits / np.where(windows > 0, windows, np.nan),
    ]
    if evidence.width <= MOST_NAMED:
        columns.append(classes.astype(np.float64))
    own = seen.values.shape[1]
    out = np.empty((len(rows), len(columns) + own), dtype=np.float32)
    for number, column in enumerate(columns):
        out[:, number] = column
    if own:
        out[:, len(columns) :] = seen.values[rows]
    return out


def _best(score: Float) -> Float:
    """Return the best scores of each row, at most 200, the highest first."""
    if score.shape[1] > _ALL:
        score = -np.partition(-score, _ALL, axis=1)[:, :_ALL]
    return np.ascontiguousarray(-np.sort(-score, axis=1))
