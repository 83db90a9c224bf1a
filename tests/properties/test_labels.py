"""Labels against the slow oracle (reliability D2), and what must not change them (D3, D4).

Every case is one random world and one random query. A failure names its seed; ``draw_case`` of that
seed draws it again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from relcast.core.errors import InvalidRequest, PqlError, TaskError
from relcast.pql import CheckedQuery, check
from relcast.pql.ast import Unit, Window
from relcast.snapshots import Snapshot
from relcast.tasks import Frame, TimeRange, evaluate_target, examples_at, make_anchors, population
from relcast.tasks.plan import TablePlan
from relcast.tasks.splits import LEFT_OUT, parse_split, split_anchors
from tests.properties.label_oracle import DROPPED, Oracle
from tests.properties.label_worlds import Case, draw_case, permuted, shifted

CHUNK = 25
# pql refuses what cannot vary, such as COUNT(...) IS NULL; these draws are drawn again.
REFUSED = {"pql.nothing_to_predict"}


def usable(seed: int) -> tuple[Case, CheckedQuery]:
    """Draw cases from a seed until one's query is a sensible one."""
    rng = np.random.default_rng([2024, seed])
    while True:
        case = draw_case(rng)
        try:
            return case, check(case.text, case.world.graph())
        except PqlError as error:
            if not {f.code for f in error.faults} <= REFUSED:
                raise


def moments(case: Case) -> np.ndarray:
    return np.array([a.value for a in case.anchors], dtype=np.int64)


def labels(case: Case, query: CheckedQuery, snapshot: Snapshot) -> dict[Any, Any]:
    """The labels of relcast by (entity key, anchor), or by entity key for a static query."""
    found, _ = examples_at(snapshot, query, moments(case) if query.temporal else None)
    assert found.target is not None
    keys = case.world.tables["users"].rows["id"].tolist()
    values = found.target.tolist()
    if found.classes is not None:
        values = [found.classes[int(v)] for v in values]
    entities = [keys[e] for e in found.entity]
    if found.anchor is None:
        return dict(zip(entities, values, strict=True))
    return dict(zip(zip(entities, found.anchor.tolist(), strict=True), values, strict=True))


def same(got: Any, want: Any) -> bool:
    if isinstance(want, str):
        return bool(got == want)
    return abs(float(got) - float(want)) <= 1e-5 * max(1.0, abs(float(want)))


def compare(seed: int, root: Path) -> int:
    """Compare one case's labels, population and free evaluation; return the number of labels."""
    case, query = usable(seed)
    snapshot = case.world.snapshot(root)
    oracle = Oracle(case.world, query)
    want = oracle.training(case.anchors) if query.temporal else oracle.static()[0]
    got = labels(case, query, snapshot)
    place = f"seed {seed}: {case.text}"
    assert set(got) == set(want), place
    wrong = {k: (got[k], want[k]) for k in want if not same(got[k], want[k])}
    assert not wrong, f"{place}: {wrong}"
    if not query.temporal:
        return len(want)
    users = case.world.tables["users"].rows["id"].tolist()
    anchor = case.anchors[seed % len(case.anchors)]
    chosen = [users[e] for e in population(snapshot, query, anchor.value)]
    assert chosen == [r["id"] for r in oracle.population(anchor)], place
    if seed % 3 == 0:
        return len(want) + compare_everywhere(case, query, snapshot, oracle, place)
    return len(want)


def compare_everywhere(
    case: Case, query: CheckedQuery, snapshot: Snapshot, oracle: Oracle, place: str
) -> int:
    """Compare ``evaluate_target`` at every pair of entity and anchor, whatever the filters."""
    rows = oracle.rows["users"]
    entity = np.tile(np.arange(len(rows)), len(case.anchors))
    anchor = np.repeat(moments(case), len(rows))
    want = [oracle.target(r, a) for a in case.anchors for r in rows]
    classes = None
    if any(isinstance(w, str) for w in want):
        classes = tuple(sorted({w for w in want if isinstance(w, str)}))
    elif query.task_type.value == "multiclass_classification":
        return 0
    got = evaluate_target(snapshot, query, entity, anchor, classes=classes)
    for g, w in zip(got, want, strict=True):
        if w is DROPPED:
            assert np.isnan(g), place
        else:
            assert same(g if classes is None else classes[int(g)], w), place
    return len(want)


@pytest.mark.parametrize("chunk", range(300 // CHUNK))
def test_labels_equal_the_oracle(chunk: int, tmp_path: Path) -> None:
    total = sum(compare(seed, tmp_path) for seed in range(chunk * CHUNK, (chunk + 1) * CHUNK))
    assert total > 10 * CHUNK  # the drawn queries are not empty ones


@pytest.mark.long
@pytest.mark.parametrize("chunk", range(4700 // 100))
def test_labels_equal_the_oracle_long(chunk: int, tmp_path: Path) -> None:
    for seed in range(300 + chunk * 100, 300 + (chunk + 1) * 100):
        compare(seed, tmp_path)


@pytest.mark.parametrize("seed", range(10_000, 10_025))
def test_shifting_all_times_changes_no_label(seed: int, tmp_path: Path) -> None:
    case, query = usable(seed)
    if "months" in case.text or "-01" in case.text or "-31" in case.text or "-29" in case.text:
        pytest.skip("months and written dates do not move with the data")
    by = pd.Timedelta(days=37, seconds=11, nanoseconds=7)
    moved = shifted(case, by)
    before = labels(case, query, case.world.snapshot(tmp_path))
    after = labels(moved, query, moved.world.snapshot(tmp_path))
    if query.temporal:
        before = {(k, a + by.value): v for (k, a), v in before.items()}
    assert before == after


@pytest.mark.parametrize("seed", range(20_000, 20_030))
def test_permuting_rows_columns_and_tables_changes_no_label(seed: int, tmp_path: Path) -> None:
    case, query = usable(seed)
    other = permuted(case, np.random.default_rng(seed))
    again = check(other.text, other.world.graph())
    before = labels(case, query, case.world.snapshot(tmp_path))
    assert before == labels(other, again, other.world.snapshot(tmp_path))


SPLITS = [
    "ApproxDateOffsetSplit([0.8, 0.1, 0.1])",
    "ApproxDateOffsetSplit([0.4, 0.3, 0.3])",
    "DateOffsetSplit([{a}, {b}], '{unit}')",
    "TimeRangeSplit([('{r0}', '{r1}'), ('{r1}', '{r2}'), ('{r2}', '{r3}')])",
]


@pytest.mark.parametrize("seed", range(300))
def test_label_windows_of_two_splits_never_overlap(seed: int) -> None:
    rng = np.random.default_rng([7, seed])
    unit = Unit(str(rng.choice([u.value for u in Unit])))
    end = int(rng.integers(1, 40))
    window = Window(int(rng.integers(0, end)) if rng.random() < 0.4 else 0, end, unit)
    other = Window(0, int(rng.integers(1, 50)), Unit(str(rng.choice([u.value for u in Unit]))))
    windows = (window, other) if rng.random() < 0.2 else (window,)
    frame = Frame(windows, (), unit, window.end - (window.start or 0))
    data_end = pd.Timestamp("2024-03-31 07:00:00")
    begin = data_end - pd.DateOffset(**{unit.value: int(rng.integers(1, 30)) * end})
    data = TimeRange(begin.value, data_end.value)
    plan = TablePlan(timeframe_step=int(rng.integers(1, 2 * end + 1)))
    cuts = [begin + (data_end - begin) * f for f in (0.0, 0.5, 0.75, 1.0)]
    text = str(rng.choice(SPLITS)).format(
        a=-2 * end, b=-int(rng.integers(0, end)), unit=unit.value,
        **{f"r{i}": c.floor("us").isoformat() for i, c in enumerate(cuts)},
    )  # fmt: skip
    try:
        split = parse_split(text)
        assert split is not None
        anchors = make_anchors(frame, data, plan)
        found = split_anchors(anchors, frame, split)
    except (TaskError, InvalidRequest) as error:
        # A refusal is a right answer too.
        assert error.code in {  # noqa: PT017
            "task.no_complete_window", "task.too_few_anchors", "task.invalid_split",
        }  # fmt: skip
        return
    spans = {s: [_span(windows, a) for a in anchors[found == s].tolist()] for s in (0, 1, 2)}
    assert all(spans.values())
    for older, newer in ((0, 1), (0, 2), (1, 2)):
        assert max(high for _, high in spans[older]) <= min(low for low, _ in spans[newer])
    assert set(found.tolist()) <= {0, 1, 2, LEFT_OUT}


def _span(windows: tuple[Window, ...], anchor: int) -> tuple[pd.Timestamp, pd.Timestamp]:
    moment = pd.Timestamp(anchor)
    return (
        min(moment + pd.DateOffset(**{w.unit.value: w.start or 0}) for w in windows),
        max(moment + pd.DateOffset(**{w.unit.value: w.end}) for w in windows),
    )
