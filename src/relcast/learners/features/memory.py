"""Features that were computed once in a fit, for whoever asks for them again.

Learners of one fit read the same features of the same examples, then the board asks for scores of
held-out ones, and a certificate for samples of both. What a feature says of an example depends on
nothing but the two and the snapshot, so that every column is computed once and handed out in parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from relcast.learners.features.spec import Feature
from relcast.relations import Relations

__all__ = ["Memory", "current", "remembering", "sharing"]

Rows = npt.NDArray[np.int64]
Values = npt.NDArray[np.float32]
Compute = Callable[[Sequence[Feature], Rows], Values]
"""Computes features of some of the examples that were asked for (places), float32[m, f]."""

_MOST_BYTES = 512 * 2**20
_LEAST_ROWS = 64
_NOWHERE = -1


@dataclass(frozen=True)
class _Sheet:
    """Distinct examples and the columns that are known of them.

    Attributes:
        rows, anchors, asof: int64[n] each: what an example is.
        hashed, order: uint64[n] ascending hashes of the examples, and whose they are.
        columns: float32[n] by feature.
    """

    rows: Rows
    anchors: Rows
    asof: Rows
    hashed: npt.NDArray[np.uint64]
    order: Rows
    columns: dict[Feature, Values] = field(default_factory=dict)

    def places(self, rows: Rows, anchors: Rows, asof: Rows, hashed: Any) -> Rows:
        """Return where examples stand, int64[m], -1 for those that do not."""
        at = np.minimum(np.searchsorted(self.hashed, hashed), len(self.hashed) - 1)
        place = self.order[at]
        same = self.rows[place] == rows
        same &= self.anchors[place] == anchors
        same &= self.asof[place] == asof
        return np.where(same, place, _NOWHERE)


@dataclass
class Memory:
    """The columns of one snapshot's examples, at most half a gigabyte of them.

    Attributes:
        relations: The snapshot; features of any other are never kept.
        outer: What is kept of others.
    """

    relations: Relations
    outer: Memory | None = None
    _sheets: dict[Any, list[_Sheet]] = field(default_factory=dict)
    _bytes: int = 0

    def recall(
        self,
        owner: Any,
        features: Sequence[Feature],
        rows: Rows,
        anchors: Rows,
        asof: Rows,
        compute: Compute,
    ) -> Values:
        """Return features of n examples, float32[n, f] column-major; what is new is computed.

        Args:
            owner: What features mean something for: the entity table and the query's target.
            features: The f features.
            rows: int64[n] the examples' rows of the entity table,
            anchors: int64[n] their anchors,
            asof: int64[n] and up to when they see.
            compute: Computes some features of some of the examples.
        """
        sheets, which, place = self._found(owner, rows, anchors, asof, len(features))
        values = np.empty((len(rows), len(features)), dtype=np.float32, order="F")
        lacking: dict[tuple[int, ...], list[int]] = {}
        used = np.unique(which).tolist()
        for k, feature in enumerate(features):
            lack = tuple(s for s in used if s < 0 or feature not in sheets[s].columns)
            lacking.setdefault(lack, []).append(k)
        for s in used:
            mine = np.flatnonzero(which == s)
            self._copy(sheets, s, mine, place, features, values)
        for lack, wanted in lacking.items():
            if not lack:
                continue
            mine = np.flatnonzero(np.isin(which, lack))
            found = compute([features[k] for k in wanted], mine)
            for k, column in zip(wanted, found.T, strict=True):
                values[mine, k] = column
            for s in lack:
                if s >= 0:
                    self._keep(sheets[s], which == s, place, features, wanted, values)
        return values

    def _found(
        self, owner: Any, rows: Rows, anchors: Rows, asof: Rows, width: int
    ) -> tuple[list[_Sheet], Rows, Rows]:
        """Return the owner's sheets, and for each example its sheet (-1: none) and its place."""
        sheets = self._sheets.setdefault(owner, [])
        which = np.full(len(rows), _NOWHERE, dtype=np.int64)
        place = np.full(len(rows), _NOWHERE, dtype=np.int64)
        hashed = _hashed(rows, anchors, asof)
        for number, sheet in enumerate(sheets):
            new = np.flatnonzero(which < 0)
            if not len(new):
                break
            found = sheet.places(rows[new], anchors[new], asof[new], hashed[new])
            there = found >= 0
            which[new[there]] = number
            place[new[there]] = found[there]
        new = np.flatnonzero(which < 0)
        if len(new) >= _LEAST_ROWS and self._bytes + 4 * len(new) * width <= _MOST_BYTES:
            distinct, first = np.unique(hashed[new], return_index=True)
            kept = new[first]
            sheet = _Sheet(rows[kept], anchors[kept], asof[kept], distinct, np.arange(len(kept)))
            found = sheet.places(rows[new], anchors[new], asof[new], hashed[new])
            there = found >= 0
            which[new[there]] = len(sheets)
            place[new[there]] = found[there]
            sheets.append(sheet)
        return sheets, which, place

    def _copy(
        self,
        sheets: Sequence[_Sheet],
        number: int,
        mine: Rows,
        place: Rows,
        features: Sequence[Feature],
        values: Values,
    ) -> None:
        if number < 0:
            return
        everything = len(mine) == len(place)
        at = place[mine]
        for k, feature in enumerate(features):
            column = sheets[number].columns.get(feature)
            if column is None:
                continue
            if everything:
                values[:, k] = column[at]
            else:
                values[mine, k] = column[at]

    def _keep(
        self,
        sheet: _Sheet,
        mine: npt.NDArray[np.bool_],
        place: Rows,
        features: Sequence[Feature],
        wanted: Sequence[int],
        values: Values,
    ) -> None:
        """Keep new columns of a sheet, where all of it was asked for and there is room."""
        size, at = len(sheet.rows), place[mine]
        there = np.zeros(size, dtype=np.bool_)
        there[at] = True
        if not there.all() or self._bytes + 4 * size * len(wanted) > _MOST_BYTES:
            return
        for k in wanted:
            column = np.empty(size, dtype=np.float32)
            column[at] = values[mine, k]
            column.setflags(write=False)
            sheet.columns[features[k]] = column
        self._bytes += 4 * size * len(wanted)


_CURRENT: ContextVar[Memory | None] = ContextVar("relcast features", default=None)


@contextmanager
def remembering(relations: Relations) -> Iterator[None]:
    """Keep what ``FeatureSet.compute`` finds of these relations while the block runs.

    In this thread only; what is kept of others stays where it is.
    """
    token = _CURRENT.set(Memory(relations, _CURRENT.get()))
    try:
        yield
    finally:
        _CURRENT.reset(token)


@contextmanager
def sharing(relations: Relations) -> Iterator[None]:
    """Keep what is found of these relations while the block runs, unless somebody does already."""
    if current(relations) is not None:
        yield
        return
    with remembering(relations):
        yield


def current(relations: Relations) -> Memory | None:
    """Return what is kept of these very relations; None where nobody keeps anything."""
    memory = _CURRENT.get()
    while memory is not None and memory.relations is not relations:
        memory = memory.outer
    return memory


def _hashed(rows: Rows, anchors: Rows, asof: Rows) -> npt.NDArray[np.uint64]:
    """Mix what an example is into one number (the steps of splitmix64, Steele et al., 2014)."""
    found = np.zeros(len(rows), dtype=np.uint64)
    for part in (rows, anchors, asof):
        found = (found ^ part.view(np.uint64)) + np.uint64(0x9E3779B97F4A7C15)
        found = (found ^ (found >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        found = (found ^ (found >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        found ^= found >> np.uint64(31)
    return found
