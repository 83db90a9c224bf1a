"""What a training table would be, before it is made: equal to the table where there is one."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from relcast.core.errors import InvalidRequest
from relcast.core.schema import TaskType
from relcast.pql import check
from relcast.tasks import TablePlan, make_training_table
from relcast.tasks.outline import Outline, outline, sketch
from tests.tasks.worlds import World, shop

DAY0 = pd.Timestamp("2023-01-02")  # a Monday
COUNT = "PREDICT COUNT(orders.*, 0, {0}, days) > 2 FOR EACH customers.id"


def at(*days: float) -> list[pd.Timestamp]:
    return [DAY0 + pd.Timedelta(days=d) for d in days]


def daily(n: int = 99, customers: int = 4, seed: int = 0, countries: str = "ABC") -> World:
    """An order of some customer on every day, amounts at random."""
    rng = np.random.default_rng(seed)
    return shop(
        {
            "customer": [*range(customers), *rng.integers(0, customers, n - customers)],
            "time": at(*range(n)),
            "amount": rng.normal(size=n).round(2),
        },
        {
            "id": [*range(customers)],
            "country": [countries[i % len(countries)] for i in range(customers)],
        },
    )


def outlined(world: World, root: Path, text: str, **plan: object) -> Outline:
    snapshot, relations = world.open(root)
    query = check(text, snapshot.graph)
    return outline(snapshot, relations, query, TablePlan(**plan))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "plan"),
    [
        (COUNT.format(10), {}),
        (COUNT.format(10), {"timeframe_step": 5}),
        (COUNT.format(7) + " WHERE COUNT(orders.*, -20, 0) > 3", {}),
        ("PREDICT SUM(orders.amount, 0, 10, days) FOR EACH customers.id", {"end_time": "2023-03-01"}),
        (COUNT.format(7), {"split": "TimeRangeSplit([('2023-01-01', '2023-02-01'), "
                                    "('2023-02-01', '2023-03-01'), ('2023-03-01', '2024-01-01')])"}),
    ],
)  # fmt: skip
def test_the_outline_is_that_of_the_table(tmp_path: Path, text: str, plan: dict) -> None:
    world = daily()
    snapshot, relations = world.open(tmp_path)
    query = check(text, snapshot.graph)
    table = make_training_table(snapshot, relations, query, TablePlan(**plan))
    full = outline(snapshot, relations, query, TablePlan(**plan))
    assert full.fault is None
    assert full.report == table.report
    assert {a.anchor: a.split for a in full.anchors if a.split != "empty"} == {
        a.anchor: a.split for a in table.report.anchors
    }
    for name, split in full.splits.items():
        of = table.examples.anchor[table.examples.split == ["train", "val", "test"].index(name)]
        assert (split.anchors, split.first, split.last) == (len(set(of)), of.min(), of.max())
    spans = sorted((s.low, s.high) for s in full.splits.values())
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans))
    assert full.sample is not None
    assert not full.sample.estimated
    assert Outline.from_json(json.loads(json.dumps(full.to_json()))) == full
    # Without figures nothing is labelled, and the anchors are the same.
    quick = sketch(snapshot, query, TablePlan(**plan))
    assert quick.report is None
    assert [a.anchor for a in quick.anchors] == [a.anchor for a in full.anchors]


def test_the_sentence_names_the_rhythm(tmp_path: Path) -> None:
    weekly = outlined(daily(), tmp_path, COUNT.format(7))
    assert weekly.rhythm == "Each Monday"
    assert "Each Monday" in weekly.sentence
    assert outlined(daily(), tmp_path, COUNT.format(7), timeframe_step=1).rhythm == "Each day"
    ten = outlined(daily(), tmp_path, COUNT.format(10))
    assert ten.rhythm == "Every 10 days from 2023-01-20 to 2023-03-31"


def test_anchors_without_examples_are_in_no_split(tmp_path: Path) -> None:
    text = COUNT.format(10) + " WHERE COUNT(orders.*, -9, 0) > 0"
    world = daily(100)
    orders = world.tables["orders"].rows
    world.tables["orders"].rows = orders[(orders.time < at(30)[0]) | (orders.time > at(45)[0])]
    found = outlined(world, tmp_path, text)
    assert found.fault is None
    assert [a.split for a in found.anchors].count("empty") == found.report.empty_anchors == 1
    assert found.anchor_count == len(found.anchors)


def test_too_few_anchors_still_say_what_there_is(tmp_path: Path) -> None:
    found = outlined(daily(), tmp_path, COUNT.format(40))
    assert found.fault.code == "task.too_few_anchors"
    assert found.fault.hint
    assert found.anchor_count == len(found.anchors) == 1
    assert found.data.begin == DAY0.value


def test_no_anchor_at_all(tmp_path: Path) -> None:
    found = outlined(daily(), tmp_path, COUNT.format(9000))
    assert found.fault.code == "task.no_complete_window"
    assert (found.anchor_count, found.report, found.rhythm) == (0, None, None)
    assert Outline.from_json(found.to_json()) == found


def test_one_class_shows_its_rows(tmp_path: Path) -> None:
    found = outlined(daily(), tmp_path, COUNT.format(10).replace("> 2", "< 1000"))
    assert found.fault.code == "task.one_class"
    assert found.report.rows > 0
    assert sum(s.target.positives for s in found.report.splits.values()) == found.report.rows
    assert {a.split for a in found.report.anchors} == {"train", "val", "test"}


def test_no_rows_say_why(tmp_path: Path) -> None:
    text = COUNT.format(10) + " WHERE customers.country = 'nowhere'"
    found = outlined(daily(), tmp_path, text)
    assert found.fault.code == "task.no_rows"
    assert found.report.dropped == {"WHERE does not hold": found.report.considered}
    assert found.report.considered == 4 * found.anchor_count


def test_a_static_query_has_no_anchors(tmp_path: Path) -> None:
    text = "PREDICT customers.country FOR EACH customers.id"
    found = outlined(daily(customers=30), tmp_path, text)
    assert (found.temporal, found.anchors, found.rhythm) == (False, (), None)
    assert found.report.rows == 30
    assert found.report.splits["train"].target.classes is not None
    two = outlined(daily(customers=30, countries="AB"), tmp_path, text)
    assert two.task_type is TaskType.BINARY_CLASSIFICATION


def test_a_crowd_of_anchors_is_refused_before_it_fills_the_memory(tmp_path: Path) -> None:
    text = "PREDICT COUNT(orders.*, 0, 1, seconds) > 0 FOR EACH customers.id"
    found = outlined(daily(), tmp_path, text)
    assert found.fault.code == "task.table_too_large"
    assert "timeframe_step" in found.fault.hint
    assert found.anchors == ()


def test_a_split_that_does_not_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest):
        outlined(daily(), tmp_path, COUNT.format(7), split="Nonsense(1)")
    static = outlined(
        daily(customers=30), tmp_path, "PREDICT customers.country FOR EACH customers.id",
        split="ApproxDateOffsetSplit([0.8, 0.1, 0.1])",
    )  # fmt: skip
    assert static.fault.code == "task.invalid_split"


def test_a_sample_is_chosen_by_key_and_scaled(tmp_path: Path) -> None:
    world = daily(n=1200, customers=400)
    snapshot, relations = world.open(tmp_path)
    query = check(COUNT.format(30).replace("> 2", "> 0"), snapshot.graph)
    full = outline(snapshot, relations, query)
    part = outline(snapshot, relations, query, sample=100)
    assert part.sample.to_json() == {"entities": 100, "of": 400, "estimated": True}
    assert part.report.considered == full.report.considered
    assert [a.anchor for a in part.anchors] == [a.anchor for a in full.anchors]
    assert part.report.rows == pytest.approx(full.report.rows, rel=0.05)
    share = [o.report.splits["train"].target for o in (part, full)]
    assert share[0].positives / share[0].rows == pytest.approx(
        share[1].positives / share[1].rows, abs=0.05
    )
    shuffled = daily(n=1200, customers=400)
    people = shuffled.tables["customers"]
    people.rows = people.rows.iloc[::-1].reset_index(drop=True)
    again = outline(*shuffled.open(tmp_path), query, sample=100)
    assert again.report == part.report
    assert Outline.from_json(json.loads(json.dumps(part.to_json()))) == part


def test_a_fault_of_a_sample_is_looked_for_among_all(tmp_path: Path) -> None:
    world = daily(n=600, customers=60)
    orders = world.tables["orders"].rows
    orders.loc[orders.index >= 60, "customer"] = 7  # one customer has all there is
    snapshot, relations = world.open(tmp_path)
    query = check(COUNT.format(30).replace("> 2", "> 0"), snapshot.graph)
    found = outline(snapshot, relations, query, sample=3)
    assert found.report == outline(snapshot, relations, query).report
    assert found.sample.estimated is False


@pytest.mark.parametrize(
    ("text", "task"),
    [
        ("PREDICT LIST_DISTINCT(orders.kind, 0, 10) CLASSIFY FOR EACH customers.id",
         "multilabel_classification"),
        ("PREDICT LIST_DISTINCT(orders.kind, 0, 10) RANK TOP 2 FOR EACH customers.id",
         "multilabel_ranking"),
        ("PREDICT SUM(orders.amount, 0, 5) FORECAST 3 TIMEFRAMES FOR EACH customers.id",
         "forecasting"),
        ("PREDICT LAST(orders.kind, 0, 10) FOR EACH customers.id", "multiclass_classification"),
        ("PREDICT MEDIAN(orders.amount, 0, 10) FOR EACH customers.id", "regression"),
    ],
)  # fmt: skip
def test_every_task_type_has_an_outline(tmp_path: Path, text: str, task: str) -> None:
    world = daily(n=200)
    rng = np.random.default_rng(1)
    world.tables["orders"].rows["kind"] = rng.choice(["a", "b", "c"], 200)
    snapshot, relations = world.open(tmp_path)
    query = check(text, snapshot.graph)
    found = outline(snapshot, relations, query)
    assert found.fault is None, found.fault
    assert found.task_type.value == task
    assert found.report == make_training_table(snapshot, relations, query).report
    assert {"train", "val", "test"} == set(found.splits)
    assert Outline.from_json(json.loads(json.dumps(found.to_json()))) == found
