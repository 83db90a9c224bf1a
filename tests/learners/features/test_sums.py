"""Windows from running sums: the same bits as event by event, also where values come late."""

from __future__ import annotations

import numpy as np
import pytest

from relcast.learners.features import kernels
from relcast.learners.features.resolver import exact_sums

NEVER = np.iinfo(np.int64).max
NONE = np.empty(0, dtype=np.int64)


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_windows_are_the_same_bits_as_event_by_event(seed: int, late: bool) -> None:
    rng = np.random.default_rng(seed)
    owners, count = 5, 400
    indptr = np.sort(np.append(rng.integers(0, count, owners - 1), [0, count])).astype(np.int64)
    time = np.empty(count, dtype=np.int64)
    for p in range(owners):
        time[indptr[p] : indptr[p + 1]] = np.sort(rng.integers(0, 900, indptr[p + 1] - indptr[p]))
    values = rng.integers(-5000, 5000, count) / 8 + (10.0**9 if seed % 2 else 0.0)
    values[rng.random(count) < 0.1] = np.nan
    known = NONE
    if late:
        known = time + rng.integers(0, 30, count) * rng.integers(0, 2, count)
        known[rng.random(count) < 0.15] = NEVER
        known[rng.random(count) < 0.02] += 400
        known = np.where(known < 0, NEVER, known)
    asked = rng.integers(-1, owners, 300)
    anchors = rng.integers(-10, 1000, 300)
    widths = np.array([10, 100, 400, -1])
    walked, summed = np.empty((300, 4, 6)), np.empty((300, 4, 6))
    kernels.window_numbers(indptr, time, NONE, known, values, asked, anchors, widths, walked)
    sums = exact_sums(indptr, values, known)
    assert sums is not None
    kernels.window_exact(indptr, time, known, values, *sums, asked, anchors, widths, summed)
    np.testing.assert_array_equal(summed[:, :, :3], walked[:, :, :3])
    assert np.isfinite(walked[:, :, 2]).mean() > 0.4
    if late:  # some windows end among values that are not known yet
        wait = np.empty((300, 4, 6))
        kernels.window_numbers(indptr, time, NONE, NONE, values, asked, anchors, widths, wait)
        assert (wait[:, :, 0] != walked[:, :, 0]).any()


@pytest.mark.parametrize("values", [[0.1, 1.0], [1e17, 1.0], [np.inf, 1.0]])
def test_sums_that_would_round_are_not_taken(values: list[float]) -> None:
    indptr = np.array([0, 2], dtype=np.int64)
    assert exact_sums(indptr, np.array(values), NONE) is None
    assert exact_sums(indptr, np.array([np.nan, 2.5]), NONE) is not None
    # What is never known has no part in it.
    never = np.array([NEVER, 5])
    assert exact_sums(indptr, np.array(values), never) is not None
