"""What is remembered in a fit: the same bits as computed anew, and nothing of another snapshot."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from relcast.learners.features import FeatureSet, feature_set
from relcast.learners.features import memory as memory_module
from relcast.learners.features.memory import current, remembering
from relcast.pql import check
from relcast.relations import Relations, build
from tests.learners.features.cases import same
from tests.properties.worlds_future import DAYS, draw_world
from tests.relations.databases import DAY, EPOCH

TEXT = "PREDICT SUM(events.amount, 0, 7, days) FOR EACH entities.id"
Made = tuple[FeatureSet, Relations, np.ndarray, np.ndarray]


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    monkeypatch.setattr(memory_module, "_LEAST_ROWS", 4)
    snapshot = draw_world(3, TEXT).snapshot(tmp_path)
    relations, query = build(snapshot), check(TEXT, snapshot.graph)
    days = np.array([DAYS // 3, DAYS // 2, DAYS - 5])
    anchors = np.repeat(EPOCH.astype(np.int64) + days * DAY, 12)
    rows = np.tile(np.arange(12), 3).astype(np.int64)
    return FeatureSet.generate(relations, query, budget=3000), relations, rows, anchors


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many values were computed, by pass over a set of examples."""
    cells: list[int] = []
    real = feature_set._computed

    def counted(resolver, features, *rest):
        cells.append(len(resolver.rows) * len(features))
        return real(resolver, features, *rest)

    monkeypatch.setattr(feature_set, "_computed", counted)
    return cells


def test_parts_of_what_was_computed_are_the_same_bits(made: Made, computed: list[int]) -> None:
    features, relations, rows, anchors = made
    names = [f.name for f in features.features]
    width = len(names)
    rng = np.random.default_rng(0)
    fresh = features.compute(relations, rows, anchors).values
    stale = features.compute(relations, rows, anchors, known=anchors - 9 * DAY).values
    assert not np.array_equal(fresh, stale, equal_nan=True)
    del computed[:]
    with remembering(relations):
        first = features.select(range(width // 2))
        same(
            first.compute(relations, rows[:24], anchors[:24]).values,
            fresh[:24, : width // 2],
            names,
        )
        assert computed == [24 * (width // 2)]
        # More columns of the same examples: only what is new.
        same(features.compute(relations, rows[:24], anchors[:24]).values, fresh[:24], names)
        assert computed[1:] == [24 * (width - width // 2)]
        # Some of them again, in another order and twice: nothing new.
        some = rng.integers(0, 24, 40)
        same(features.compute(relations, rows[some], anchors[some]).values, fresh[some], names)
        assert len(computed) == 2
        # Known ones and new ones together: only the new ones.
        mixed = np.concatenate([rng.permutation(36), [30, 31]])
        same(features.compute(relations, rows[mixed], anchors[mixed]).values, fresh[mixed], names)
        assert computed[2:] == [14 * width]
        same(features.compute(relations, rows, anchors).values, fresh, names)
        assert len(computed) == 3
        # The same examples that see less are other examples.
        known = anchors - 9 * DAY
        same(features.compute(relations, rows, anchors, known=known).values, stale, names)
        same(features.compute(relations, rows, anchors, known=known).values, stale, names)
        assert computed[3:] == [36 * width]


def test_other_relations_and_other_targets_are_never_served(
    made: Made, computed: list[int]
) -> None:
    features, relations, rows, anchors = made
    other = replace(relations)
    with remembering(relations):
        for data in (relations, other, other):
            features.compute(data, rows, anchors)
        assert len(computed) == 3
        replace(features, target=None).select([len(features.features) - 1]).compute(
            relations, rows, anchors
        )
        assert len(computed) == 4
    assert current(relations) is None
    features.compute(relations, rows, anchors)
    assert len(computed) == 5


def test_memory_is_bounded(
    made: Made, computed: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    features, relations, rows, anchors = made
    whole = features.compute(relations, rows, anchors).values
    names = [f.name for f in features.features]
    for room in (0, 4 * 36 * len(names) - 1):
        monkeypatch.setattr(memory_module, "_MOST_BYTES", room)
        del computed[:]
        with remembering(relations):
            for _ in range(2):
                same(features.compute(relations, rows, anchors).values, whole, names)
        assert computed == [whole.size, whole.size]
