"""The rows of a sample as arrays: what the codes make of one snapshot. Needs no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from relcast.core.errors import ModelError
from relcast.learners.gnn import words
from relcast.learners.gnn.codes import ColumnCode, TableCode, bucket_of
from relcast.learners.gnn.walks import Sample
from relcast.relations import NEVER, NOT_A_TIME, Relations, TableArrays

__all__ = ["Inputs", "TableInput"]

Float = npt.NDArray[np.float32]
Place = npt.NDArray[np.int32]
Index = npt.NDArray[np.int64]

_WHOLE = 4_000_000
_FURTHEST = 10.0
_SPREADS = (0.5, 2.0, 8.0, 32.0, 128.0)
_YEAR, _WEEK, _DAY = 365.2425 * 86_400e9, 7 * 86_400e9, 86_400e9


@dataclass(frozen=True, slots=True)
class TableInput:
    """n rows of one table.

    Attributes:
        numbers: float32[n, channels]; the first says that the row is there.
        places: int32[n, columns] embeddings of the categories.
        bags: int32[m] embeddings of texts and lists, one column of all rows after the other.
        ends: int64[columns of texts and lists * n + 1] where each cell ends in ``bags``.
    """

    numbers: Float
    places: Place
    bags: Place
    ends: Index


@dataclass(frozen=True, slots=True)
class _Cells:
    """Some rows of a table before any cut-off: as ``TableInput``, without ages."""

    numbers: Float
    places: Place
    bags: tuple[tuple[Place, Index], ...]

    def take(self, rows: Index) -> _Cells:
        bags = tuple(words.take(values, ends, rows) for values, ends in self.bags)
        return _Cells(self.numbers[rows], self.places[rows], bags)


class Inputs:
    """Reads rows of one snapshot by the codes of a network; safe to share between threads.

    Raises ``model.schema`` when the snapshot lacks a table or column, or holds it as another kind.

    Args:
        few: Whether only a few rows will be read: then nothing is read ahead.
    """

    def __init__(
        self, relations: Relations, codes: Sequence[TableCode], *, few: bool = False
    ) -> None:
        self.relations = relations
        self.codes = {code.table: code for code in codes}
        self._maps: dict[tuple[str, str], Place] = {}
        self._raw: dict[tuple[str, str], Any] = {}
        self._whole: dict[str, _Cells] = {}
        for code in codes:
            table = relations.table(code.table)
            for column in code.columns:
                self._prepare(table, column)
            if table.rows <= _WHOLE and not few:
                self._whole[code.table] = self._cells(code, np.arange(table.rows))

    def of(self, sample: Sample, cutoffs: Index | None) -> dict[str, TableInput]:
        """Return the rows of a sample; ``cutoffs`` int64[seeds] is when each seed looks."""
        return {
            name: self._input(code, sample.rows[name], sample.owner[name], cutoffs)
            for name, code in self.codes.items()
        }

    def _input(
        self, code: TableCode, chosen: Place, owner: Place, cutoffs: Index | None
    ) -> TableInput:
        rows = chosen.astype(np.int64)
        whole = self._whole.get(code.table)
        cells = self._cells(code, rows) if whole is None else whole.take(rows)
        table = self.relations.table(code.table)
        timeless = cutoffs is None
        moments = np.full(len(rows), code.moment) if cutoffs is None else cutoffs[owner]
        head = np.ones((len(rows), 1 + code.ages), dtype=np.float32)
        if code.timed and table.time is not None:
            head[:, 1:] = _ages(table.time[rows], moments, code.unit)
        numbers = np.concatenate([head, cells.numbers], axis=1)
        places, bags = cells.places, list(cells.bags)
        at = 1 + code.ages
        slot = bag = 0
        for column in code.columns:
            late = table.value_known(column.column)
            unknown = None if late is None or timeless else late[rows] > moments
            if column.kind == "number" and unknown is not None:
                numbers[unknown, at] = 0.0
                numbers[unknown, at + 1] = 1.0
            elif column.kind == "time":
                time = table.column(column.column).values[rows]
                if late is None and not timeless:
                    # Nobody said when it is written: not before it has come.
                    unknown = time > moments
                if unknown is not None:
                    time = np.where(unknown, NOT_A_TIME, time)
                    numbers[unknown, at : at + 6] = 0.0
                numbers[:, at + 6 : at + 8] = _distance(time, moments, code.unit)
            elif column.kind == "category":
                if unknown is not None:
                    places[unknown, slot] = self._first(code, column)
                slot += 1
            elif column.kind in ("text", "list"):
                if unknown is not None:
                    bags[bag] = words.without(*bags[bag], unknown)
                bag += 1
            at += column.channels
        if timeless is False and table.time is not None:
            # A seed may be asked about before its own row was there: nothing in it is known.
            early = (table.time[rows] > moments) | (table.time[rows] == NOT_A_TIME)
            if early.any():
                numbers[early] = 0.0
                places[early] = self._firsts(code)
                bags = [words.without(values, ends, early) for values, ends in bags]
        return TableInput(numbers, places, *words.joined(bags, len(rows)))

    def _prepare(self, table: TableArrays, code: ColumnCode) -> None:
        name = table.table.name
        array = table.column(code.column)
        if array.kind != code.kind:
            raise ModelError(
                f"The network reads {name}.{code.column} as {code.kind}, but it is {array.kind}",
                code="model.schema",
                hint="Give the column the meaning that it had in training, or train again.",
            )
        if code.kind == "category":
            position = {word: k + 1 for k, word in enumerate(code.words)}
            first = 1 + len(code.words)
            self._maps[name, code.column] = np.array(
                [position.get(w, first + bucket_of(w, code.buckets)) for w in array.dictionary]
                + [0],
                dtype=np.int32,
            )
        elif code.kind in ("text", "list"):
            self._raw[name, code.column] = array.raw()

    def _cells(self, code: TableCode, rows: Index) -> _Cells:
        table = self.relations.table(code.table)
        numbers: list[npt.NDArray[Any]] = []
        places: list[Place] = []
        bags: list[tuple[Place, Index]] = []
        for column in code.columns:
            values = table.column(column.column).values
            base = self._first(code, column)
            if column.kind == "number":
                numbers.append(_number(values[rows], column))
            elif column.kind == "time":
                numbers.append(_calendar(values[rows]))
            elif column.kind == "category":
                places.append(self._maps[code.table, column.column][values[rows]] + base)
            else:
                raw = self._raw[code.table, column.column].take(rows)
                made = words.of_text if column.kind == "text" else words.of_lists
                bags.append(made(raw, column.buckets, base + 1))
        none = np.zeros((len(rows), 0), dtype=np.float32)
        return _Cells(
            np.concatenate([none, *numbers], axis=1).astype(np.float32),
            np.stack(places, axis=1).astype(np.int32)
            if places
            else np.zeros((len(rows), 0), dtype=np.int32),
            tuple(bags),
        )

    def _first(self, code: TableCode, column: ColumnCode) -> int:
        """Return the place of a column's missing value among the table's embeddings."""
        before = code.columns[: code.columns.index(column)]
        return sum(c.places for c in before)

    def _firsts(self, code: TableCode) -> Place:
        found = [self._first(code, c) for c in code.columns if c.kind == "category"]
        return np.array(found, dtype=np.int32)


def _number(values: npt.NDArray[Any], code: ColumnCode) -> Float:
    wide = values.astype(np.float64)
    missing = ~np.isfinite(wide)
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = np.arcsinh((wide - code.centre) / code.scale)
    scaled = np.clip(np.where(missing, 0.0, scaled), -_FURTHEST, _FURTHEST)
    return np.stack([scaled, missing], axis=1).astype(np.float32)


def _calendar(time: Index) -> Float:
    """Return sine and cosine of the place in the year, the week and the day, and two gaps."""
    missing = time == NOT_A_TIME
    parts = np.zeros((len(time), 8), dtype=np.float32)
    moment = np.where(missing, 0, time).astype(np.float64)
    for k, length in enumerate((_YEAR, _WEEK, _DAY)):
        turn = moment / length * 2 * np.pi
        parts[:, 2 * k] = np.where(missing, 0.0, np.sin(turn))
        parts[:, 2 * k + 1] = np.where(missing, 0.0, np.cos(turn))
    return parts


def _distance(time: Index, moments: Index, unit: int) -> Float:
    """Return the signed logarithm of how long ago each time was, and whether it is missing."""
    missing = (time == NOT_A_TIME) | (moments == NEVER)
    gap = np.where(missing, 0.0, (moments.astype(np.float64) - time.astype(np.float64)) / unit)
    logarithm = np.sign(gap) * np.log1p(np.abs(gap))
    return np.stack([np.clip(logarithm, -20, 20) / 3.0, missing], axis=1).astype(np.float32)


def _ages(time: Index, moments: Index, unit: int) -> Float:
    """Return how long ago each row was, as a logarithm and as what is left of it when it fades."""
    gap = np.maximum(0.0, (moments.astype(np.float64) - time.astype(np.float64)) / unit)
    found = np.empty((len(time), 1 + len(_SPREADS)), dtype=np.float32)
    found[:, 0] = np.log1p(gap) / 3.0
    for k, spread in enumerate(_SPREADS):
        found[:, 1 + k] = np.exp(-gap / spread)
    return found
