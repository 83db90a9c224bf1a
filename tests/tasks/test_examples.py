"""Examples and lists: taking rows of them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from relcast.tasks.examples import Examples, Lists


def lists(*rows: list[int]) -> Lists:
    lengths = [len(r) for r in rows]
    return Lists(
        np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64),
        np.array([v for r in rows for v in r], dtype=np.int64),
    )


def rows_of(found: Lists) -> list[list[int]]:
    ends = found.offsets.tolist()
    return [found.values[a:b].tolist() for a, b in pairwise(ends)]


ROWS: list[list[int]] = [[3, 1], [], [7], [2, 9, 4], [], [5]]


def test_lists_know_their_number_and_lengths() -> None:
    found = lists(*ROWS)
    assert len(found) == 6
    assert found.lengths.tolist() == [2, 0, 1, 3, 0, 1]
    assert len(lists()) == 0


@pytest.mark.parametrize("places", [[3, 0, 1, 3], [5, 4, 3, 2, 1, 0], [], [1, 4], [0]])
def test_taking_lists_by_place(places: list[int]) -> None:
    found = lists(*ROWS).take(np.array(places, dtype=np.int64))
    assert rows_of(found) == [ROWS[p] for p in places]
    assert found.offsets.dtype == found.values.dtype == np.int64


def test_taking_lists_by_mask_equals_taking_by_place() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        rows = [rng.permutation(20)[: rng.integers(0, 5)].tolist() for _ in range(30)]
        mask = rng.random(30) < 0.5
        assert rows_of(lists(*rows).take(mask)) == [r for r, m in zip(rows, mask, strict=True) if m]


def test_examples_take_their_lists_and_windows_along() -> None:
    entity = np.arange(6, dtype=np.int64)
    ranked = Examples(entity, anchor=entity * 10, classes=("a",), lists=lists(*ROWS))
    found = ranked.take(np.array([2, 3]))
    assert found.entity.tolist() == [2, 3]
    assert found.lists is not None
    assert rows_of(found.lists) == [[7], [2, 9, 4]]
    assert found.target is None
    forecast = Examples(entity, target=np.arange(18.0).reshape(6, 3))
    assert forecast.take(entity == 4).target.tolist() == [[12.0, 13.0, 14.0]]  # type: ignore[union-attr]
