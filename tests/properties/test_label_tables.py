"""Whole training and prediction tables against the slow oracle (reliability D2).

The anchors are those of ``anchor_oracle``; the labels those of ``label_oracle``. A table that is
refused must be one that cannot be made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from relcast.core.errors import TaskError
from relcast.core.schema import TaskType
from relcast.relations import build
from relcast.tasks import (
    TablePlan,
    TrainingTable,
    make_prediction_table,
    make_training_table,
)
from tests.properties.anchor_oracle import Calendar, calendar_of
from tests.properties.label_cases import Drawn, draw
from tests.properties.label_checks import Difference, agree, named
from tests.properties.label_oracle import LISTS
from tests.properties.label_values import text_of_key

CASES, CHUNK = 60, 20
CLASSES = {TaskType.BINARY_CLASSIFICATION, TaskType.MULTICLASS_CLASSIFICATION}


@pytest.mark.parametrize("chunk", range(CASES // CHUNK))
def test_training_tables_equal_the_oracle(chunk: int, tmp_path: Path) -> None:
    outcomes = _run(range(chunk * CHUNK, (chunk + 1) * CHUNK), tmp_path)
    assert outcomes["made"] >= 0.4 * CHUNK, outcomes


@pytest.mark.long
@pytest.mark.parametrize("chunk", range(15))
def test_training_tables_equal_the_oracle_long(chunk: int, tmp_path: Path) -> None:
    _run(range(CASES + chunk * 100, CASES + (chunk + 1) * 100), tmp_path)


def _run(seeds: range, root: Path) -> Counter[str]:
    outcomes: Counter[str] = Counter()
    for seed in seeds:
        outcomes[compare_tables(fit(40_000 + 10 * seed), root)] += 1
    return outcomes


def fit(seed: int) -> Drawn:
    """Draw a case of which a table can be made; the last of several draws, if none is."""
    for number in range(8):
        drawn = draw(seed + number)
        if not drawn.query.temporal:
            break
        calendar = calendar_of(drawn.oracle, drawn.query)
        if calendar.newest is None:
            continue
        anchors = calendar.anchors(plan_of(drawn, calendar))
        found, _ = drawn.oracle.training(anchors)
        used = sorted({a for _, a in found})
        split = calendar.default_split([pd.Timestamp(a) for a in used])
        if not expected_refusal(drawn, calendar, anchors, found, used, split):
            break
    return drawn


def compare_tables(drawn: Drawn, root: Path) -> str:
    """Compare both tables of a case; return ``made``, or the code of a right refusal."""
    snapshot = drawn.case.world.snapshot(root)
    relations = build(snapshot)
    compare_prediction(drawn, snapshot, relations)
    if drawn.query.temporal:
        return compare_temporal(drawn, snapshot, relations)
    return compare_static(drawn, snapshot, relations)


# -- training tables over time ---------------------------------------------------------------------


def plan_of(drawn: Drawn, calendar: Calendar) -> TablePlan:
    """A plan with some of its options set."""
    rng = np.random.default_rng([3, drawn.seed])
    options: dict[str, Any] = {}
    if rng.random() < 0.3:
        options["timeframe_step"] = int(rng.integers(1, 2 * calendar.length + 1))
    if rng.random() < 0.12:
        options["train_end_offset"] = int(rng.integers(0, calendar.length + 1))
    if rng.random() < 0.12:
        options["train_start_offset"] = int(rng.integers(3, 9)) * calendar.length
    if rng.random() < 0.12:
        options["start_time"] = drawn.case.anchors[0].floor("us").isoformat()
    if rng.random() < 0.12:
        options["end_time"] = drawn.case.anchors[-1].floor("us").isoformat()
    return TablePlan(**options)


def compare_temporal(drawn: Drawn, snapshot: Any, relations: Any) -> str:
    calendar = calendar_of(drawn.oracle, drawn.query)
    place = drawn.place
    if calendar.newest is None:
        _, refusal = attempt(make_training_table, snapshot, relations, drawn.query)
        equal(refusal.code, "task.empty_table", place)
        return str(refusal.code)
    plan = plan_of(drawn, calendar)
    place = f"{place} with {plan}"
    anchors = calendar.anchors(plan)
    found, dropped = drawn.oracle.training(anchors)
    used = sorted({a for _, a in found})
    split = calendar.default_split([pd.Timestamp(a) for a in used])
    table, refusal = attempt(make_training_table, snapshot, relations, drawn.query, plan)
    if table is None:
        allowed = expected_refusal(drawn, calendar, anchors, found, used, split)
        equal(str(refusal) if refusal.code not in allowed else "", "", place)
        return str(refusal.code)
    report = table.report
    everybody = len(drawn.oracle.rows[drawn.query.entity_table])
    equal([a.anchor for a in report.anchors], used, f"{place}: anchors")
    equal(report.empty_anchors, len(anchors) - len(used), f"{place}: empty anchors")
    equal(report.considered, len(anchors) * everybody, f"{place}: considered")
    names = {a.anchor: a.split for a in report.anchors}
    left = {a for a, name in names.items() if name == "left out"}
    compare_splits(calendar, names, split, place)
    between = sum(a in left for _, a in found)
    if between:
        dropped = {**dropped, "left out between splits": between}
    equal(dict(report.dropped), dropped, f"{place}: dropped")
    rows = {k: v for k, v in found.items() if k[1] not in left}
    agree(read(table, drawn), named(drawn, rows), place)
    equal((report.rows, len(table)), (len(rows), len(rows)), f"{place}: rows")
    return "made"


def attempt(make: Callable[..., Any], *arguments: Any) -> tuple[Any, Any]:
    """What is made, or the refusal."""
    try:
        return make(*arguments), None
    except TaskError as error:
        return None, error


def equal(got: Any, want: Any, place: str) -> None:
    if got != want:
        raise Difference(f"{place}: {got}, by the oracle {want}")


def compare_splits(
    calendar: Calendar, names: dict[int, str], split: list[str] | None, place: str
) -> None:
    """Whole anchors, in time order, whose label windows do not overlap; the default by the page."""
    groups = {
        name: [pd.Timestamp(a) for a, given in names.items() if given == name]
        for name in ("train", "val", "test")
    }
    equal(sorted(name for name, given in groups.items() if not given), [], f"{place}: no rows")
    for older, newer in (("train", "val"), ("train", "test"), ("val", "test")):
        ends = max(calendar.span(a)[1] for a in groups[older])
        begins = min(calendar.span(a)[0] for a in groups[newer])
        apart = max(groups[older]) < min(groups[newer]) and ends <= begins
        equal(apart, True, f"{place}: {older} before {newer}")
    if split is not None and not calendar.overlapping([pd.Timestamp(a) for a in names]):
        equal(list(names.values()), split, f"{place}: splits")


def expected_refusal(
    drawn: Drawn,
    calendar: Calendar,
    anchors: list[pd.Timestamp],
    found: dict[Any, Any],
    used: list[int],
    split: list[str] | None,
) -> set[str]:
    """The codes with which such a table may be refused."""
    if not anchors:
        return {"task.no_complete_window"}
    if not found:
        return {"task.no_rows"}
    moments = [pd.Timestamp(a) for a in used]
    if split is None or len(set(split) - {"left out"}) < 3 or calendar.overlapping(moments):
        return {"task.too_few_anchors", "task.too_few_rows", "task.one_class"}
    if drawn.query.task_type in CLASSES:
        train = {a for a, name in zip(used, split, strict=True) if name == "train"}
        if len({v for (_, a), v in found.items() if a in train}) < 2:
            return {"task.one_class"}
    if drawn.query.task_type in LISTS:
        train = {a for a, name in zip(used, split, strict=True) if name == "train"}
        if len({x for (_, a), v in found.items() if a in train for x in v}) < 2:
            return {"task.one_class"}
    return set()


def read(table: TrainingTable, drawn: Drawn) -> dict[Any, Any]:
    """The rows of ``to_arrow`` by (entity key, anchor), or by entity key."""
    arrow = table.to_arrow()
    keys = arrow.column("ENTITY").to_pylist()
    values = arrow.column("TARGET").to_pylist()
    assert set(arrow.column("SPLIT").to_pylist()) == {"train", "val", "test"}
    if not drawn.query.temporal:
        assert arrow.column_names == ["ENTITY", "TARGET", "SPLIT"]
        return dict(zip(keys, values, strict=True))
    assert arrow.column_names == ["ENTITY", "TIMESTAMP", "TARGET", "SPLIT"]
    moments = arrow.column("TIMESTAMP").cast("int64").to_pylist()
    assert moments == sorted(moments)
    return dict(zip(zip(keys, moments, strict=True), values, strict=True))


# -- static training tables ------------------------------------------------------------------------


def compare_static(drawn: Drawn, snapshot: Any, relations: Any) -> str:
    place = drawn.place
    found, _, dropped = drawn.oracle.static()
    table, refusal = attempt(make_training_table, snapshot, relations, drawn.query)
    if table is None:
        few = len(found) < 12 or len({str(v) for v in found.values()}) < 3
        right = refusal.code in {"task.no_rows", "task.too_few_rows", "task.one_class"}
        equal("" if few and right else str(refusal), "", place)
        return str(refusal.code)
    agree(read(table, drawn), named(drawn, found), place)
    equal(dict(table.report.dropped), dropped, f"{place}: dropped")
    entity = drawn.case.world.tables[drawn.query.entity_table]
    if entity.time is not None:
        rows = drawn.oracle.rows[drawn.query.entity_table]
        time = {row[drawn.oracle.key]: row[entity.time] for row in rows}
        arrow = table.to_arrow()
        by_split: dict[str, list[pd.Timestamp]] = {"train": [], "val": [], "test": []}
        pairs = zip(arrow["ENTITY"].to_pylist(), arrow["SPLIT"].to_pylist(), strict=True)
        for key, name in pairs:
            if time[key] is not None:
                by_split[name].append(time[key])
        order = [t for name in by_split for t in (min(by_split[name]), max(by_split[name]))]
        equal(order, sorted(order), f"{place}: order of splits")
    return "made"


# -- prediction tables -----------------------------------------------------------------------------


def compare_prediction(drawn: Drawn, snapshot: Any, relations: Any) -> None:
    """The entities to score: at the latest time of the target's tables, or without a target."""
    query, oracle, place = drawn.query, drawn.oracle, drawn.place
    named_keys = None if query.query.keys is None else {text_of_key(k) for k in query.query.keys}
    if query.temporal:
        calendar = calendar_of(oracle, query)
        if calendar.newest is None:
            return
        # An anchor that has not the filter's whole look-back before it is refused.
        if calendar.newest < calendar.begin():
            _, refusal = attempt(make_prediction_table, snapshot, relations, query)
            equal(refusal.code, "task.anchor_too_early", place)
            return
        want = [row[oracle.key] for row in oracle.population(calendar.newest)]
        moments = {calendar.newest.value}
    else:
        # Links are recommended to everybody; of other targets it is the absent ones that are asked.
        found, want, _ = oracle.static()
        if query.task_type is TaskType.STATIC_LINK_PREDICTION:
            want = [row[oracle.key] for row in oracle.rows[query.entity_table]
                    if row[oracle.key] in found or row[oracle.key] in want]  # fmt: skip
        moments = set()
    if named_keys is not None:
        want = [k for k in want if text_of_key(k) in named_keys]
    table, refusal = attempt(make_prediction_table, snapshot, relations, query)
    if table is None:
        equal((refusal.code, []), ("task.no_rows", want), f"{place}: {refusal}")
        return
    arrow = table.to_arrow()
    equal(arrow.column("ENTITY").to_pylist(), want, f"{place}: entities to score")
    if query.temporal:
        equal(set(arrow.column("TIMESTAMP").cast("int64").to_pylist()), moments, place)
    everybody = len(oracle.rows[query.entity_table])
    equal(len(table) + sum(table.dropped.values()), everybody, f"{place}: counted")
