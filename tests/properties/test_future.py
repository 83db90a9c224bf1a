"""Nothing learned or said at an anchor depends on a row that is later (reliability.md, D1)."""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from relcast.learners.features import buckets as feature_buckets
from relcast.learners.features import kernels as feature_kernels
from relcast.learners.features.columns import Columns
from relcast.learners.features.resolver import Resolver
from relcast.relations import kernels
from relcast.tasks import label_sql
from tests.properties.future import moved
from tests.properties.worlds_future import draw_anchor, draw_world, other_future

SEEDS = range(200)
LONG = range(200, 5000)
TRAINED = [seed for seed in range(40) if seed % 8 < 3]
CHUNK = 100
DAY = 86_400 * 10**9


def refits(seed: int) -> bool:
    """Every second database of a task that is trained is fitted again, on the past alone."""
    return seed % 16 < 3


@pytest.mark.parametrize("seed", SEEDS)
def test_the_future_moves_nothing(seed: int, tmp_path: Path) -> None:
    assert moved(seed, tmp_path, refit=refits(seed)) == []
    shutil.rmtree(tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("first", LONG[::CHUNK])
def test_the_future_moves_nothing_at_length(first: int, tmp_path: Path) -> None:
    for seed in range(first, first + CHUNK):
        assert moved(seed, tmp_path / str(seed), refit=True) == [], seed
        shutil.rmtree(tmp_path / str(seed))


@pytest.mark.parametrize("seed", range(20))
def test_the_two_databases_differ_later_than_the_anchor_only(seed: int) -> None:
    db = draw_world(seed)
    anchor = draw_anchor(db, "events", seed)
    other = other_future(db, anchor, seed, keep="events")
    moment = pd.Timestamp(anchor)
    changed = 0
    for name, before in db.frames.items():
        after = other.frames[name]
        time, end = db.times.get(name), db.ends.get(name)
        if time is not None:
            late, later = (f[f[time] > moment].reset_index(drop=True) for f in (before, after))
            changed += not late.equals(later)
            before, after = (f[f[time] <= moment] for f in (before, after))  # noqa: PLW2901
        known, kept = (f.reset_index(drop=True) for f in (before, after))
        if end is not None:
            known, kept = (f.assign(**{end: f[end].where(f[end] <= moment)}) for f in (known, kept))
        pd.testing.assert_frame_equal(known, kept, check_dtype=False)
    assert changed >= 2


# -- the test of the test: leaks that it must notice -----------------------------------------------

Leak = Callable[[pytest.MonkeyPatch], None]


def _later_anchor(patch: pytest.MonkeyPatch, kernel: str, place: int) -> None:
    """Let a kernel look two days past each anchor, which is its argument number ``place``."""
    honest = getattr(feature_kernels, kernel)

    def leaking(*given: Any) -> None:
        honest(*given[:place], given[place] + 2 * DAY, *given[place + 1 :])

    patch.setattr(feature_kernels, kernel, leaking)


def window_leak(patch: pytest.MonkeyPatch) -> None:
    _later_anchor(patch, "window_numbers", 6)


def timing_leak(patch: pytest.MonkeyPatch) -> None:
    _later_anchor(patch, "timing", 6)


def category_leak(patch: pytest.MonkeyPatch) -> None:
    _later_anchor(patch, "recent_codes", 6)


def past_label_leak(patch: pytest.MonkeyPatch) -> None:
    honest = feature_buckets.bucket_numbers

    def leaking(*given: Any) -> None:
        *rows, anchors, edges, which, out = given
        honest(*rows, anchors + 2 * DAY, edges + 2 * DAY, which, out)

    patch.setattr(feature_buckets, "bucket_numbers", leaking)


def slice_leak(patch: pytest.MonkeyPatch) -> None:
    """Let ``known_slices`` and whatever else asks for bounds look one step into the future."""
    honest = kernels.bounds

    def leaking(indptr: Any, time: Any, parents: Any, low: Any, high: Any, *out: Any) -> None:
        honest(indptr, time, parents, low, np.where(high < 2**62, high + 5 * DAY, high), *out)

    patch.setattr(kernels, "bounds", leaking)


def parent_leak(patch: pytest.MonkeyPatch) -> None:
    """Join parents that did not exist yet, or no longer."""
    honest = Resolver.at_parent
    nothing = np.empty(0, dtype=np.int64)
    patch.setattr(Resolver, "at_parent", lambda *given: (nothing, nothing, honest(*given)[2]))


def population_leak(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(label_sql, "within_life", lambda *_: label_sql.TRUE.copy())


def vocabulary_leak(patch: pytest.MonkeyPatch) -> None:
    """Count categories, and look for columns that vary, in rows of any time."""

    def everything(columns: Columns, name: str, _: str | None = None) -> np.ndarray:
        return np.ones(columns.relations.table(name).rows, dtype=bool)

    patch.setattr(Columns, "known", everything)


def candidates_leak(patch: pytest.MonkeyPatch) -> None:
    """Generate a fit's features from the whole snapshot, not from its training side."""
    features = importlib.import_module("relcast.learners.features")

    def leaking(relations: Any, query: Any, folds: Any, budget: int, **_: Any) -> Any:
        return features.FeatureSet.generate(relations, query, budget=budget, until=None)

    patch.setattr(importlib.import_module("relcast.learners.board"), "candidate_features", leaking)


def label_leak(patch: pytest.MonkeyPatch) -> None:
    """Remember labels from their anchor on, before their windows are over."""
    simple = importlib.import_module("relcast.learners.simple")
    patch.setattr(simple, "label_known_at", lambda _, anchors, __: anchors)


def chain_filter_leak(patch: pytest.MonkeyPatch) -> None:
    """Let WHERE count rows whose way to the entity did not exist yet, or no longer."""
    facts = importlib.import_module("relcast.tasks.facts")
    patch.setattr(facts, "within_life", lambda *_: label_sql.TRUE.copy())


def chain_leak(patch: pytest.MonkeyPatch) -> None:
    """Take rows over several links as known at their own time, whatever stands between."""
    resolver = importlib.import_module("relcast.learners.features.resolver")
    honest = resolver.events_below

    def leaking(relations: Any, links: Any, **how: Any) -> Any:
        events = honest(relations, links, by_own_time=True)
        return replace(events, known=events.known[:0])

    patch.setattr(resolver, "events_below", leaking)


def label_window_leak(patch: pytest.MonkeyPatch) -> None:
    """Let every label read eight days beyond its window."""
    moments = importlib.import_module("relcast.tasks.moments")
    honest = moments.window_ends

    def leaking(*given: Any) -> Any:
        low, high = honest(*given)
        return low, high + 8 * DAY

    patch.setattr(moments, "window_ends", leaking)


def spread_leak(patch: pytest.MonkeyPatch) -> None:
    honest = feature_buckets.bucket_spread

    def leaking(*given: Any) -> None:
        *rows, anchors, edges, which, out = given
        honest(*rows, anchors + 2 * DAY, edges + 2 * DAY, which, out)

    patch.setattr(feature_buckets, "bucket_spread", leaking)


LEAKS: dict[str, tuple[Leak, str]] = {
    "windows look ahead": (window_leak, "features"),
    "counts look ahead": (timing_leak, "predictions"),
    "last categories look ahead": (category_leak, "features"),
    "past labels are not past": (past_label_leak, "predictions: own past window"),
    "slices reach past the anchor": (slice_leak, "memory"),
    "parents before their time": (parent_leak, "features"),
    "entities before their time": (population_leak, "population"),
    "vocabularies of the future": (vocabulary_leak, "features: other ones"),
    "features made from all rows": (candidates_leak, "fit: "),
    "labels before they are known": (label_leak, "memory"),
    "WHERE over links to come": (chain_filter_leak, "population"),
    "features over links to come": (chain_leak, "loose"),
    "windows of labels too long": (label_window_leak, "labels"),
    "medians look ahead": (spread_leak, "features"),
}
"""By name: what leaks, and how the first sentence about it begins."""

SEEDS_OF: dict[str, list[int]] = {
    "WHERE over links to come": [*range(25, 30), *range(60, 65), *range(95, 100)],
    "features over links to come": [16, 18, 25, 27, 36],
    "medians look ahead": [8, 19, 48],
}
"""Where the leak can show at all: which databases are asked."""

FORMS = {"forecasting": 3, "multilabel": 4, "ranking": 5, "links": 6}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["past labels are not past", "windows of labels too long"])
def test_a_planted_leak_is_noticed_in_every_form(
    form: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leak, where = LEAKS[name]
    if name == "past labels are not past":
        where = "features"
        monkeypatch.setattr(feature_buckets, "bucket_codes", _ahead(feature_buckets.bucket_codes))
    leak(monkeypatch)
    seeds = range(FORMS[form], 200, 8)
    _noticed(where, seeds, tmp_path)


def _ahead(honest: Any) -> Any:
    def leaking(*given: Any) -> None:
        *rows, anchors, edges, which, out = given
        honest(*rows, anchors + 2 * DAY, edges + 2 * DAY, which, out)

    return leaking


def _noticed(where: str, seeds: Iterable[int], root: Path) -> None:
    said: list[str] = []
    for seed in seeds:
        said += moved(seed, root / str(seed), refit=where.startswith("fit"))
        if any(sentence.startswith(where) for sentence in said):
            return
    pytest.fail(f"nothing said of {where}: {said[:5]}")


@pytest.mark.parametrize("name", LEAKS)
def test_a_planted_leak_is_noticed(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leak, where = LEAKS[name]
    leak(monkeypatch)
    _noticed(where, SEEDS_OF.get(name, TRAINED), tmp_path)
