"""Rows of a fact as arrays: found by key, put in order of time, ties, codes of text."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

from relcast.pql.ast import AggregationKind
from relcast.tasks import kernels
from relcast.tasks.growing import Growing
from relcast.tasks.key_index import KeyIndex
from relcast.tasks.keyed_rows import rows_of_entities
from relcast.tasks.timed_rows import _values


def in_batches(rng: np.random.Generator, key: np.ndarray, time: np.ndarray) -> pa.Table:
    """Rows as an engine gives them: in batches of any size, some of them empty."""
    edges = np.sort(rng.integers(0, len(key) + 1, size=rng.integers(0, 6)))
    pieces = zip([0, *edges], [*edges, len(key)], strict=True)
    batches = [pa.record_batch({"entity": key[a:b], "time": time[a:b]}) for a, b in pieces]
    return pa.Table.from_batches(batches)


@pytest.mark.parametrize("seed", range(60))
def test_rows_by_key_are_those_that_a_loop_finds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    keys = rng.permutation(30)[: rng.integers(1, 12)].astype(np.int64)
    index_rows = np.full(keys.max() - keys.min() + 3, -1, dtype=np.int32)
    index_rows[keys - keys.min() + 1] = np.arange(len(keys))
    index = KeyIndex(int(keys.min()), index_rows)
    rows = int(rng.integers(0, 50))
    everybody = seed % 3 == 0
    key = rng.choice(keys, rows) if everybody else rng.integers(-3, 33, rows)
    time = np.sort(rng.integers(0, 20, rows)) if seed % 2 else rng.integers(0, 20, rows)
    place = {int(k): n for n, k in enumerate(keys)}
    kept = [n for n in range(rows) if int(key[n]) in place]

    table = in_batches(rng, key.astype(np.int64), time)
    for threads in (1, 2, 3):
        for ordered in (False, True):
            found = rows_of_entities(table, index, threads, ordered=ordered)
            times, entities, order, ascends = found
            assert times.tolist() == [int(time[n]) for n in kept]
            assert entities.tolist() == [place[int(key[n])] for n in kept]
            if len(kept) == rows:
                assert order is None
            else:
                assert order is not None
                assert order.tolist() == (kept if ordered else [])
            assert ascends == bool((np.diff(times) >= 0).all())


@pytest.mark.parametrize("seed", range(40))
def test_twins_are_the_rows_that_share_time_and_entity(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = int(rng.integers(1, 40))
    time = np.sort(rng.integers(0, 12, rows))
    entity = rng.integers(0, 4, rows).astype(np.int32)
    marked = np.zeros(rows, dtype=np.uint8)
    count = kernels.mark_twins(time, entity, np.full(4, -1, dtype=np.int64), marked)
    pairs = Counter(zip(time.tolist(), entity.tolist(), strict=True))
    want = [pairs[t, e] > 1 for t, e in zip(time.tolist(), entity.tolist(), strict=True)]
    assert marked.astype(bool).tolist() == want
    assert count == sum(want)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_codes_of_text_do_not_depend_on_threads(threads: int) -> None:
    chunks = [["b", "a"], [], ["a", "c", "b"], ["d"]]
    text = pa.chunked_array([pa.array(c, pa.string()) for c in chunks])
    codes, dictionary, count = _values(text, AggregationKind.LAST, threads)
    assert codes.tolist() == [0, 1, 1, 2, 0, 3]
    assert dictionary is not None
    assert (dictionary.to_pylist(), count) == (["b", "a", "c", "d"], 4)


def test_codes_of_no_text() -> None:
    codes, dictionary, count = _values(
        pa.chunked_array([], pa.string()), AggregationKind.COUNT_DISTINCT, 2
    )
    assert (codes.tolist(), dictionary, count) == ([], pa.array([], pa.string()), 1)


@pytest.mark.parametrize("guess", [0, 3, 200_000])
def test_an_array_grows_beyond_any_guess(guess: int) -> None:
    grown, parts = Growing(np.float64, guess), []
    for length in (0, 5, 70_000, 1, 200_000):
        parts.append(np.arange(length, dtype=np.float64) + len(parts))
        grown.append(parts[-1])
    found = grown.done()
    assert np.array_equal(found, np.concatenate(parts))
    assert found.base is None
    assert found.flags.writeable
    assert Growing(np.int64, guess).done().tolist() == []


def test_truth_becomes_numbers_while_it_is_added() -> None:
    grown = Growing(np.float64)
    grown.append(np.array([True, False]))
    grown.append(np.array([2], dtype=np.int32))
    assert grown.done().tolist() == [1.0, 0.0, 2.0]
