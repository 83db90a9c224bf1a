"""Windows of two splits never overlap: every split, step, unit, window, horizon and offset.

Each case draws a shape in time, a plan and a split, lets relcast choose anchors and splits, and
checks them by pandas alone. A failure names its seed; ``draw`` of that seed draws it again.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from relcast.core.errors import InvalidRequest, TaskError
from relcast.core.schema import Graph, Link
from relcast.pql import CheckedQuery, check
from relcast.relations import Relations
from relcast.snapshots import Snapshot
from relcast.tasks import Frame, TablePlan, TimeRange, make_anchors, training_table_from_rows
from relcast.tasks.anchors import ranges_to_anchors
from relcast.tasks.splits import (
    LEFT_OUT,
    DateOffsetSplit,
    RandomSplit,
    Split,
    TemporalSplit,
    TimeRangeSplit,
    assign_anchors,
    default_split,
    parse_split,
    split_by_default,
    split_rows,
    split_text,
)
from tests.tasks.worlds import World, WorldTable, shop

CASES, CHUNKS = 1_500, 6
UNITS = ("seconds", "minutes", "hours", "days", "weeks", "months")
LONG = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86_400, "weeks": 604_800,
        "months": 2_629_746}  # fmt: skip


@dataclass(frozen=True)
class Window:
    """``(a + start, a + end]`` in a unit, as pandas counts."""

    start: int
    end: int
    unit: str

    def of(self, anchor: pd.Timestamp) -> tuple[pd.Timestamp, pd.Timestamp]:
        return move(anchor, self.start, self.unit), move(anchor, self.end, self.unit)


def move(moment: pd.Timestamp, count: int, unit: str) -> pd.Timestamp:
    return moment + pd.DateOffset(**{unit: count})


@dataclass(frozen=True)
class Case:
    seed: int
    text: str
    windows: tuple[Window, ...]
    data: TimeRange
    plan: TablePlan

    @property
    def place(self) -> str:
        return f"seed {self.seed}: {self.text} {self.plan} {self.data}"

    def span(self, anchor: pd.Timestamp) -> tuple[pd.Timestamp, pd.Timestamp]:
        """The union of the label windows of an anchor."""
        ends = [w.of(anchor) for w in self.windows]
        return min(low for low, _ in ends), max(high for _, high in ends)


@cache
def graph() -> Graph:
    world = shop({"customer": [1], "time": [pd.Timestamp("2023-01-01")]})
    items = pd.DataFrame({"id": [1]})
    world.tables["items"] = WorldTable({"id": "key"}, items, "id")
    world.tables["orders"].columns["item"] = "key"
    world.links += (Link("orders", "item", "items"),)
    return world.graph()


@cache
def checked(text: str) -> CheckedQuery:
    return check(text, graph())


def draw(seed: int) -> Case:
    """Draw the shape of a query, the range of the data, and a plan."""
    rng = np.random.default_rng([31, seed])
    unit = UNITS[seed % len(UNITS)]
    end = int(rng.integers(1, 25))
    start = int(rng.integers(0, end)) if rng.random() < 0.4 else 0
    windows: tuple[Window, ...] = (Window(start, end, unit),)
    window = f"{start}, {end}, {unit}"
    horizon = 1
    kind = rng.random()
    if kind < 0.2:
        horizon = int(rng.integers(1, 6))
        target = f"SUM(orders.amount, {window}) FORECAST {horizon} TIMEFRAMES"
        windows = tuple(
            Window(start + i * (end - start), end + i * (end - start), unit) for i in range(horizon)
        )
    elif kind < 0.4:
        target = f"LIST_DISTINCT(orders.item, {window}) RANK TOP 3"
    elif kind < 0.6:
        # Windows of unlike units within two orders of size of one another.
        near = [u for u in UNITS if 0.01 < LONG[u] / LONG[unit] < 100]
        other = Window(0, int(rng.integers(1, 40)), str(rng.choice(near)))
        windows += (other,)
        target = (
            f"COUNT(orders.*, {window}) > 0 OR COUNT(orders.*, 0, {other.end}, {other.unit}) > 1"
        )
    else:
        target = f"COUNT(orders.*, {window})"
    where = ""
    if rng.random() < 0.2:
        where = f" WHERE COUNT(orders.*, -{int(rng.integers(1, 2 * end + 1))}, 0, {unit}) > 0"
    last = pd.Timestamp(
        str(
            rng.choice(
                ["2024-03-31 07:00", "2024-02-29 23:59:59", "2023-12-31", "2024-05-30 12:00"]
            )
        )
    )
    reach = max(LONG[w.unit] * w.end for w in windows) / LONG[unit]
    begin = move(last, -int(np.ceil(reach * rng.uniform(1, 12))), unit)
    return Case(
        seed=seed,
        text=f"PREDICT {target} FOR EACH customers.id{where}",
        windows=windows,
        data=TimeRange(begin.value, last.value),
        plan=TablePlan(**plan_of(rng, begin, last, end, unit)),  # type: ignore[arg-type]
    )


def plan_of(
    rng: np.random.Generator, begin: pd.Timestamp, last: pd.Timestamp, end: int, unit: str
) -> dict[str, object]:
    options: dict[str, object] = {"split": split_of(rng, begin, last, end, unit)}
    if rng.random() < 0.6:
        # So that a case has some hundreds of anchors at the most.
        most = max(1, int((last - begin).total_seconds() / LONG[unit] / 150))
        options["timeframe_step"] = int(rng.integers(most, 2 * end + most + 1))
    for name in ("train_start_offset", "train_end_offset"):
        if rng.random() < 0.15:
            options[name] = int(rng.integers(0, 6 * end if "start" in name else end + 1))
    for name, low, high in (("start_time", 0.0, 0.4), ("end_time", 0.6, 1.1)):
        if rng.random() < 0.15:
            options[name] = (begin + (last - begin) * rng.uniform(low, high)).floor("s").isoformat()
    return options


def split_of(
    rng: np.random.Generator, begin: pd.Timestamp, last: pd.Timestamp, end: int, unit: str
) -> str:
    kind = rng.integers(0, 4)
    if kind == 0:
        return "inferred"
    if kind == 1:
        shares = rng.choice(["0.8, 0.1, 0.1", "0.4, 0.3, 0.3", "0.6, 0.3, 0.1", "0.34, 0.33, 0.33"])
        return f"ApproxDateOffsetSplit([{shares}])"
    if kind == 2:
        test = -int(rng.integers(0, 2 * end + 1))
        val = test - int(rng.integers(1, 3 * end + 1))
        other = str(rng.choice(UNITS[2:])) if rng.random() < 0.2 else unit
        given = f", '{other}'" if other != unit or rng.random() < 0.5 else ""
        return f"DateOffsetSplit([{val}, {test}]{given})"
    cuts = np.sort(rng.uniform(0, 1.1, 6))
    if rng.random() < 0.5:  # ranges that follow one another at once
        cuts[2], cuts[4] = cuts[1], cuts[3]
    r = [(begin + (last - begin) * c).floor("us").isoformat() for c in cuts]
    return f"TimeRangeSplit([('{r[0]}', '{r[1]}'), ('{r[2]}', '{r[3]}'), ('{r[4]}', '{r[5]}')])"


def anchors_and_splits(case: Case) -> tuple[list[pd.Timestamp], list[int], Split] | None:
    """What relcast makes of a case; None where it refuses it."""
    query = checked(case.text)
    frame = Frame.of(query)
    try:
        split = parse_split(case.plan.split)
        if isinstance(split, TimeRangeSplit):
            anchors = ranges_to_anchors(frame, case.data, case.plan, split.ranges)
        else:
            anchors = make_anchors(frame, case.data, case.plan)
    except (TaskError, InvalidRequest) as error:
        assert error.code in {"task.no_complete_window", "task.invalid_split"}  # noqa: PT017
        assert error.hint  # noqa: PT017
        return None
    # Anchors without examples are not there when splits are given.
    rng = np.random.default_rng(case.seed)
    used = anchors[rng.random(len(anchors)) < 0.8] if rng.random() < 0.3 else anchors
    newest = int(anchors[-1])
    if split is None:
        found = split_by_default(used, frame, query, newest)
    else:
        found = assign_anchors(used, frame, split, newest)
    return [pd.Timestamp(a) for a in used.tolist()], found.split.tolist(), found.rule


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_windows_of_two_splits_never_overlap(chunk: int) -> None:
    size = CASES // CHUNKS
    split_cases = 0
    for seed in range(chunk * size, (chunk + 1) * size):
        case = draw(seed)
        found = anchors_and_splits(case)
        if found is None:
            continue
        anchors, splits, rule = found
        check_bounds(case, anchors)
        spans = {
            s: [case.span(a) for a, x in zip(anchors, splits, strict=True) if x == s]
            for s in (0, 1, 2)
        }
        for older, newer in ((0, 1), (0, 2), (1, 2)):
            if spans[older] and spans[newer]:
                ends = max(high for _, high in spans[older])
                assert ends <= min(low for low, _ in spans[newer]), case.place
        assert set(splits) <= {0, 1, 2, LEFT_OUT}, case.place
        kept = [s for s in splits if s != LEFT_OUT]
        assert kept == sorted(kept), case.place
        check_rule(case, anchors, splits, rule)
        split_cases += all(spans.values())
    assert split_cases > size // 4  # enough cases have all three


def check_bounds(case: Case, anchors: list[pd.Timestamp]) -> None:
    """Every label is complete, one step of data precedes, and the plan's bounds hold."""
    begin, last = pd.Timestamp(case.data.begin), pd.Timestamp(case.data.end)
    unit = max(
        case.windows, key=lambda w: (move(pd.Timestamp(0), w.end, w.unit), w.unit == "months")
    )
    plan = case.plan
    newest = move(last, -(plan.train_end_offset or 0), unit.unit)
    for anchor in anchors:
        assert case.span(anchor)[1] <= newest, case.place
        assert anchor >= begin, case.place
        assert plan.start_time is None or anchor >= pd.Timestamp(plan.start_time), case.place
        assert plan.end_time is None or anchor <= pd.Timestamp(plan.end_time), case.place
        if plan.train_start_offset:
            assert anchor >= move(last, -plan.train_start_offset, unit.unit), case.place
        if plan.timeframe_step:
            assert move(anchor, -plan.timeframe_step, unit.unit) >= begin, case.place


def check_rule(case: Case, anchors: list[pd.Timestamp], splits: list[int], rule: Split) -> None:
    """The rule's own words, by pandas."""
    if isinstance(rule, TimeRangeSplit):
        for anchor, split in zip(anchors, splits, strict=True):
            if split != LEFT_OUT:
                start, end = rule.ranges[split]
                assert start <= anchor.value < end, case.place
    elif not isinstance(rule, DateOffsetSplit) and len(anchors) >= 3:
        # By counts: test takes the newest.
        n = len(anchors)
        shares = [float(r) for r in rule.ratios]  # type: ignore[union-attr]
        assert splits.count(2) == max(1, int(shares[2] * n + 1e-9)), case.place
        assert splits[-1] == 2, case.place


@pytest.mark.parametrize("seed", range(200))
def test_date_offsets_mean_what_the_page_says(seed: int) -> None:
    """Test from D-W+test on, val from D-W+val on; only what overlaps is left out between."""
    rng = np.random.default_rng([47, seed])
    end = int(rng.integers(1, 20))
    start = int(rng.integers(0, end)) if seed % 3 == 0 else 0
    test = -int(rng.integers(0, 40))
    val = test - int(rng.integers(1, 60))
    frame = Frame.of(checked(f"PREDICT COUNT(orders.*, {start}, {end}) FOR EACH customers.id"))
    data = TimeRange(0, pd.Timestamp("1970-12-31").value)
    step = int(rng.integers(1, 2 * end + 1))
    anchors = make_anchors(frame, data, TablePlan(timeframe_step=step))
    found = assign_anchors(anchors, frame, DateOffsetSplit(val, test)).split
    day = anchors // (86_400 * 10**9)
    last = 364 - end
    want = np.full(len(day), LEFT_OUT)
    want[day >= last + test] = 2
    first = day[want == 2].min()
    want[(day >= last + val) & (day < last + test) & (day + end <= first + start)] = 1
    first = day[want > 0].min()
    want[(day < last + val) & (day + end <= first + start)] = 0
    assert found.tolist() == want.tolist()


def test_default_offsets_give_one_anchor_each() -> None:
    for unit in UNITS:
        for start, end in ((0, 1), (0, 7), (2, 4), (5, 10)):
            for target in (
                f"SUM(orders.amount, {start}, {end}, {unit}) FORECAST {{}} TIMEFRAMES",
                f"LIST_DISTINCT(orders.item, {start}, {end}, {unit}) RANK TOP 3",
            ):
                for steps in (1, 2, 5) if "FORECAST" in target else (1,):
                    query = checked(f"PREDICT {target.format(steps)} FOR EACH customers.id")
                    frame = Frame.of(query)
                    last = pd.Timestamp("2024-03-31 07:00")
                    begin = move(last, -40 * end, unit)
                    anchors = make_anchors(frame, TimeRange(begin.value, last.value), TablePlan())
                    found = assign_anchors(anchors, frame, default_split(query, frame))
                    place = (unit, start, end, steps, target)
                    assert found.counts[2] == 1, place
                    assert found.counts[1] >= 1, place
                    if "FORECAST" in target or start == 0:
                        assert found.counts[1] == 1, place
                    assert found.counts[0] > 0, place


@pytest.mark.parametrize("seed", range(40))
def test_rows_are_split_by_counts_time_and_seed(seed: int) -> None:
    rng = np.random.default_rng([53, seed])
    n = int(rng.integers(3, 400))
    ranks = rng.permutation(n)
    time = rng.integers(0, max(1, n // 2), n)
    for split in (RandomSplit(), TemporalSplit()):
        found = split_rows(split, ranks, time, seed)
        test, held = max(1, n // 10), max(2, n // 5)
        assert [int((found == s).sum()) for s in range(3)] == [n - held, held - test, test]
    newest = [time[found == s].max() for s in range(3)]
    oldest = [time[found == s].min() for s in range(3)]
    assert newest[0] <= oldest[1]
    assert newest[1] <= oldest[2]
    again = split_rows(RandomSplit(), ranks, None, seed)
    order = rng.permutation(n)
    assert (split_rows(RandomSplit(), ranks[order], None, seed) == again[order]).all()


def daily(root: Path) -> tuple[Snapshot, Relations, World]:
    world = shop(
        {
            "customer": [1, 2] * 60,
            "time": [pd.Timestamp("2023-01-01") + pd.Timedelta(days=i) for i in range(120)],
            "amount": list(range(120)),
        }
    )
    snapshot, relations = world.open(root)
    return snapshot, relations, world


def test_rows_of_ones_own_that_overlap_are_warned_of_and_no_others(tmp_path: Path) -> None:
    """ManualSplit gives what it is told; the report says whether windows overlap."""
    snapshot, relations, _ = daily(tmp_path)
    query = check("PREDICT SUM(orders.amount, 0, 10) FOR EACH customers.id", snapshot.graph)
    warned = 0
    for seed in range(60):
        rng = np.random.default_rng([61, seed])
        days = np.sort(rng.choice(110, 12, replace=False))
        # Splits in time order that may or may not leave room, or in any order.
        parts = np.repeat([0, 1, 2], 4)
        if seed % 3:
            gap = int(rng.integers(0, 12))
            days = np.concatenate(
                [np.arange(4), np.arange(4) + 13 + gap, np.arange(4) + 26 + 2 * gap]
            )
            days -= int(rng.integers(0, 4)) * parts
        else:
            parts = rng.permutation(parts)
        anchors = [pd.Timestamp("2023-01-01") + pd.Timedelta(days=int(d)) for d in days]
        rows = pa.table(
            {
                "ENTITY": rng.integers(1, 3, 12),
                "TIMESTAMP": pa.array(anchors, pa.timestamp("ns")),
                "TARGET": rng.normal(size=12),
                "part": [("train", "val", "test")[p] for p in parts],
            }
        )
        plan = TablePlan(split="ManualSplit('part')")
        table = training_table_from_rows(snapshot, relations, query, rows, plan)
        ranges = [(days[parts == s].min(), days[parts == s].max() + 10) for s in range(3)]
        overlap = any(
            ranges[a][0] < ranges[b][1] and ranges[b][0] < ranges[a][1]
            for a in range(3)
            for b in range(a)
        )
        assert any("overlap" in w for w in table.report.warnings) == overlap, seed
        warned += overlap
    assert 10 < warned < 55


def test_the_text_of_a_split_reads_as_that_split() -> None:
    for seed in range(200):
        rng = np.random.default_rng([67, seed])
        begin, last = pd.Timestamp("2020-01-01"), pd.Timestamp("2024-02-29 03:04:05.000007")
        try:
            split = parse_split(split_of(rng, begin, last, 5, "days"))
        except InvalidRequest:
            continue
        if split is not None:
            assert parse_split(split_text(split)) == split
