"""Windows over arrays against counting by hand; exact sums against fractions."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from relcast.tasks import exact
from relcast.tasks.sweeps import Windows, counts, distinct, earliest, extremes, latest, totals


def drawn(seed: int) -> tuple[np.ndarray, np.ndarray, Windows]:
    """Rows of a few entities and windows that may overlap, be empty, or hold all."""
    rng = np.random.default_rng(seed)
    rows, entities, windows = rng.integers(0, 60), rng.integers(1, 6), rng.integers(1, 8)
    low = np.sort(rng.integers(0, rows + 1, windows))
    high = np.maximum(np.sort(rng.integers(0, rows + 1, windows)), low)
    entity = rng.integers(0, entities, rows)
    return entity, rng.integers(-5, 6, rows), Windows(low, high, int(entities))


@pytest.mark.parametrize("seed", range(200))
def test_every_aggregation_equals_one_done_by_hand(seed: int) -> None:
    entity, value, windows = drawn(seed)
    counted, summed = counts(entity, windows), totals(entity, value, windows)
    most = extremes(entity, value, windows, np.maximum, -99)
    least = extremes(entity, value.astype(np.float64), windows, np.minimum, np.inf)
    first, last = earliest(entity, windows), latest(entity, windows)
    different = distinct(entity, value + 5, 11, windows)
    for n, (low, high) in enumerate(zip(windows.low, windows.high, strict=True)):
        for e in range(windows.entities):
            rows = [r for r in range(low, high) if entity[r] == e]
            values = [int(value[r]) for r in rows]
            assert counted[n, e] == len(rows)
            assert summed[n, e] == sum(values)
            assert most[n, e] == max(values, default=-99)
            assert least[n, e] == min(values, default=np.inf)
            assert first[n, e] == (rows[0] if rows else -1)
            assert last[n, e] == (rows[-1] if rows else -1)
            assert different[n, e] == len(set(values))


def test_no_rows_and_no_windows() -> None:
    nothing = np.zeros(0, dtype=np.int64)
    none = Windows(nothing, nothing, 3)
    empty = Windows(np.zeros(2, dtype=np.int64), np.zeros(2, dtype=np.int64), 3)
    assert counts(nothing, none).shape == (0, 3)
    assert latest(nothing, none).shape == earliest(nothing, none).shape == (0, 3)
    assert counts(nothing, empty).tolist() == [[0, 0, 0], [0, 0, 0]]
    assert distinct(nothing, nothing, 1, empty).sum() == 0
    assert (latest(nothing, empty) == -1).all()


@pytest.mark.parametrize("top", [-896, -16, 0, 16, 48, 1024])
@pytest.mark.parametrize("rows", [10, 10**6])
def test_sums_are_exact_and_rounded_once(top: int, rows: int) -> None:
    rng = np.random.default_rng(abs(top) + rows)
    for _ in range(40):
        whole = [int(w) for w in rng.integers(-(2**60) + 1, 2**60, rng.integers(1, 400))]
        value = np.array([math.ldexp(float(w), top - 60) for w in whole])
        value[np.abs(value) >= math.ldexp(1.0, min(top, 1023))] = 0.0
        parts = exact.cut(value, top, rows)
        got = exact.joined(tuple(np.array([p.sum()]) for p in parts), top)[0]
        total = sum((Fraction(float(v)) for v in value), Fraction(0))
        try:
            want = float(total)
        except OverflowError:
            want = math.inf if total > 0 else -math.inf
        assert got == want


def test_what_left_a_window_leaves_no_trace() -> None:
    value = np.array([1e15, 0.125, 2.0**-20, -1e15, 0.375])
    parts = exact.cut(value, 64, len(value))
    windows = Windows(np.array([0, 1, 2, 4]), np.array([2, 3, 4, 5]), 1)
    entity = np.zeros(5, dtype=np.int64)
    found = exact.joined(tuple(totals(entity, part, windows) for part in parts), 64)
    assert found[:, 0].tolist() == [1e15 + 0.125, 0.125 + 2.0**-20, 2.0**-20 - 1e15, 0.375]
