"""Summaries of numbers against NumPy; reports that depend on no threads; rows of splits."""

from __future__ import annotations

import numpy as np
import pytest

from relcast.tasks import summaries
from relcast.tasks.examples import Examples, Lists
from relcast.tasks.report import report_of
from relcast.tasks.splits import LEFT_OUT, rows_of_split


def numbers(seed: int) -> np.ndarray:
    """Numbers of many kinds: ties, signs, zeros, wide ranges; around the length that counts."""
    rng = np.random.default_rng(seed)
    rows = int(rng.integers(1, 200)) if seed % 2 else int(rng.integers(9_990, 30_000))
    drawn = rng.normal(size=rows) * 10.0 ** rng.integers(-200, 100)
    match seed % 5:
        case 0:
            drawn = np.where(rng.random(rows) < 0.6, 0.0, drawn)
        case 1:
            drawn = rng.integers(-3, 4, rows).astype(np.float64)
        case 2:
            drawn = np.where(rng.random(rows) < 0.5, -1.0, 1.0)
        case 3:
            drawn = np.sort(drawn)
    return drawn


@pytest.mark.parametrize("seed", range(80))
def test_numbers_are_summarised_as_numpy_does(seed: int) -> None:
    given = numbers(seed)
    found = summaries.Summariser(Examples(np.arange(len(given)), target=given), binary=False).of(
        slice(0, len(given))
    )
    assert (found.rows, found.low, found.high) == (len(given), given.min(), given.max())
    assert found.median == np.median(given)
    assert found.mean == pytest.approx(given.mean(), rel=1e-12, abs=0)
    assert found.std == pytest.approx(given.std(), rel=1e-12, abs=1e-300)


def test_the_median_between_two_far_values() -> None:
    given = np.repeat([-5.0, 1e9], 6_000)
    assert summaries._median(given) == (1e9 - 5.0) / 2
    assert summaries._median(np.full(20_000, -0.25)) == -0.25


def split_examples(seed: int, kind: str) -> Examples:
    """Rows of five anchors, in order or not, some of them left out."""
    rng = np.random.default_rng(seed)
    rows = 400
    place = np.sort(rng.integers(0, 5, rows))
    if seed % 2:
        place = rng.permutation(place)
    split = np.array([0, 0, LEFT_OUT, 1, 2], dtype=np.int8)[place]
    target = rng.integers(0, 3, rows).astype(np.float64)
    lists = Lists(np.arange(rows + 1) * 2, rng.integers(0, 9, 2 * rows))
    return Examples(
        entity=np.arange(rows),
        anchor=place * 10,
        target=None if kind == "lists" else target if kind == "numbers" else target % 2,
        split=split,
        lists=lists if kind == "lists" else None,
    )


@pytest.mark.parametrize("kind", ["numbers", "binary", "lists"])
@pytest.mark.parametrize("seed", range(4))
def test_a_report_does_not_depend_on_threads_or_order(seed: int, kind: str) -> None:
    examples = split_examples(seed, kind)
    reports = [
        report_of(rows, binary=kind == "binary", considered=400, dropped={}, threads=threads)
        for threads in (1, 3)
        for rows in (examples, examples.take(np.argsort(examples.anchor, kind="stable")))
    ]
    assert all(r == reports[0] for r in reports)
    assert examples.split is not None
    assert examples.anchor is not None
    assert [a.anchor for a in reports[0].anchors] == [0, 10, 20, 30, 40]
    assert [a.split for a in reports[0].anchors] == ["train", "train", "left out", "val", "test"]
    assert reports[0].rows == int((examples.split != LEFT_OUT).sum())
    assert reports[0].left_out_anchors == 1
    for number, name in enumerate(("train", "val", "test")):
        mask, found = examples.split == number, reports[0].splits[name]
        assert found.target.rows == int(mask.sum())
        assert found.anchors == len(np.unique(examples.anchor[mask]))
        if kind == "binary" and examples.target is not None:
            assert found.target.positives == int(examples.target[mask].sum())


def test_anchors_without_end_are_counted_and_not_listed() -> None:
    rows = 1_200
    split = np.where(np.arange(rows) < 700, LEFT_OUT, 0).astype(np.int8)
    examples = Examples(np.arange(rows), np.arange(rows), np.ones(rows), split=split)
    found = report_of(examples, binary=True, considered=rows, dropped={}, threads=2)
    assert (found.anchors, found.left_out_anchors, found.splits["train"].anchors) == ((), 700, 500)


@pytest.mark.parametrize("split", [[], [0], [1, 1, 0, 0, 2], [0, 1, 0], [2, 2], [-1, 0, 0, -1]])
def test_the_rows_of_a_split_are_a_slice_where_they_stand_together(split: list[int]) -> None:
    given = np.array(split, dtype=np.int8)
    for number in range(3):
        want = np.flatnonzero(given == number)
        rows = rows_of_split(given, number)
        assert np.arange(len(given))[rows].tolist() == want.tolist()
        together = len(want) == 0 or want[-1] - want[0] + 1 == len(want)
        assert isinstance(rows, slice) == together


def test_lists_of_a_slice_are_those_of_its_places() -> None:
    lists = Lists(np.array([0, 2, 2, 5, 6]), np.arange(6) * 7)
    for first, stop in ((0, 4), (1, 3), (2, 2), (3, 4)):
        part, want = lists.take(slice(first, stop)), lists.take(np.arange(first, stop))
        assert part.offsets.tolist() == want.offsets.tolist()
        assert part.values.tolist() == want.values.tolist()
