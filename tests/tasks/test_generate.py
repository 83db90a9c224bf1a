"""Training tables from a snapshot and a query."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import sqlglot

from relcast.core.errors import InvalidRequest, TaskError
from relcast.core.schema import Link, TaskType
from relcast.pql import check
from relcast.tasks import TablePlan, TrainingTable, TrainingTableReport, make_training_table
from relcast.tasks.report import UnusableTable
from relcast.tasks.scan import open_session
from tests.tasks.worlds import World, WorldTable, shop

DAY0 = pd.Timestamp("2023-01-01")


def at(*days: float) -> list[pd.Timestamp]:
    return [DAY0 + pd.Timedelta(days=d) for d in days]


def make(world: World, root: Path, text: str, **plan: object) -> TrainingTable:
    snapshot, relations = world.open(root)
    query = check(text, snapshot.graph)
    return make_training_table(snapshot, relations, query, TablePlan(**plan))  # type: ignore[arg-type]


def daily(n: int = 101, customers: int = 4, seed: int = 0) -> World:
    """An order of some customer on every day, amounts at random."""
    rng = np.random.default_rng(seed)
    return shop(
        {
            "customer": [*range(customers), *rng.integers(0, customers, n - customers)],
            "time": at(*range(n)),
            "amount": rng.normal(size=n).round(2),
            "kind": rng.choice(["a", "b", "c"], n),
        }
    )


def test_the_edges_of_a_window(tmp_path: Path) -> None:
    """(a + start, a + end]: open on the left, closed on the right, to the nanosecond."""
    ns = pd.Timedelta(1, unit="ns")
    a, b, c = at(70, 80, 90)
    world = shop(
        {
            "customer": [1, 2, 3, 4, 5] + [9] * 4,
            "time": [a, a + ns, b, b + ns, c, *at(0, 50, 100, 60)],
        }
    )
    table = make(world, tmp_path, "PREDICT COUNT(orders.*, 0, 10) FOR EACH customers.id")
    rows = table.to_arrow().to_pandas().set_index(["TIMESTAMP", "ENTITY"])["TARGET"]
    assert rows[a].to_dict() == {1: 0, 2: 1, 3: 1, 4: 0, 5: 0, 9: 0}
    assert rows[b].to_dict() == {1: 0, 2: 0, 3: 0, 4: 1, 5: 1, 9: 0}
    assert rows[c].to_dict() == {1: 0, 2: 0, 3: 0, 4: 0, 5: 0, 9: 1}


def test_the_whole_table_of_a_small_world(tmp_path: Path) -> None:
    world = daily()
    text = (
        "PREDICT SUM(orders.amount, 0, 10, days) FOR EACH customers.id "
        "WHERE COUNT(orders.*, -10, 0, days) > 2"
    )
    table = make(world, tmp_path, text)
    orders = world.tables["orders"].rows
    want = {}
    for day in range(20, 91, 10):
        (a,) = at(day)
        for customer in range(4):
            mine = orders[orders.customer == customer]
            back = mine[(mine.time > a - pd.Timedelta(days=10)) & (mine.time <= a)]
            if len(back) > 2:
                ahead = mine[(mine.time > a) & (mine.time <= a + pd.Timedelta(days=10))]
                want[a, customer] = ahead.amount.sum()
    got = table.to_arrow().to_pandas().set_index(["TIMESTAMP", "ENTITY"])["TARGET"].to_dict()
    assert got == pytest.approx(want)
    assert table.report.rows == len(want)
    assert table.report.considered == 8 * 4
    assert table.report.dropped == {"WHERE does not hold": 32 - len(want)}


def test_the_shape_of_the_table(tmp_path: Path) -> None:
    table = make(daily(), tmp_path, "PREDICT COUNT(orders.*, 0, 10) > 2 FOR EACH customers.id")
    arrow = table.to_arrow()
    assert arrow.schema == pa.schema(
        [("ENTITY", pa.int64()), ("TIMESTAMP", pa.timestamp("ns")), ("TARGET", pa.bool_()),
         ("SPLIT", pa.string())]
    )  # fmt: skip
    report = table.report
    assert [report.splits[s].anchors for s in ("train", "val", "test")] == [7, 1, 1]
    assert sum(s.target.rows for s in report.splits.values()) == report.rows == len(table) == 36
    positives = sum(s.target.positives or 0 for s in report.splits.values())
    assert positives == sum(arrow.column("TARGET").to_pylist())
    newest = max(arrow.column("TIMESTAMP").to_pylist())
    assert set(arrow.filter(pa.compute.equal(arrow["SPLIT"], "test"))["TIMESTAMP"].to_pylist()) == {
        newest
    }
    assert [a.split for a in report.anchors] == ["train"] * 7 + ["val", "test"]


def test_left_out_anchors_are_counted(tmp_path: Path) -> None:
    text = "PREDICT COUNT(orders.*, 0, 10) > 2 FOR EACH customers.id"
    table = make(daily(), tmp_path, text, timeframe_step=5)
    report = table.report
    left = [a for a in report.anchors if a.split == "left out"]
    assert report.left_out_anchors == len(left) == 2
    assert report.dropped["left out between splits"] == sum(a.target.rows for a in left) == 8
    assert report.rows == len(table) == report.considered - 8
    assert table.examples.split is not None
    assert set(table.examples.split.tolist()) == {0, 1, 2}


def test_anchors_without_examples_do_not_count_for_the_split(tmp_path: Path) -> None:
    world = shop({"customer": [1, 2] * 6, "time": at(0, 1, 12, 13, 45, 46, 77, 78, 89, 91, 99, 100),
                  "amount": [1.0, 2.0] * 6})  # fmt: skip
    table = make(world, tmp_path, "PREDICT AVG(orders.amount, 0, 10) FOR EACH customers.id")
    assert table.report.empty_anchors == 9 - len(table.report.anchors) > 0
    assert table.report.dropped["target is NULL"] == 18 - len(table)


def test_threads_and_batches_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = daily(600, customers=30)
    snapshot, relations = world.open(tmp_path)
    query = check(
        "PREDICT AVG(orders.amount, 0, 30) FOR EACH customers.id WHERE "
        "SUM(orders.amount, -INF, 0) > 0.05 OR COUNT_DISTINCT(orders.kind, -40, 0) > 2",
        snapshot.graph,
    )
    plan = TablePlan(timeframe_step=1)
    one = make_training_table(snapshot, relations, query, plan)
    two = make_training_table(snapshot, relations, query, plan, threads=2, memory_limit="200MB")
    monkeypatch.setattr("relcast.tasks.labels.BATCH", 70)
    batches = make_training_table(snapshot, relations, query, plan)
    assert len(one) > 4000
    for other in (two, batches):
        assert one.to_arrow().equals(other.to_arrow())
        assert one.report == other.report


def test_sums_do_not_depend_on_the_order_of_rows(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = {"customer": [1, 2] * 500, "time": at(*rng.uniform(0, 100, 998), 0, 100),
            "amount": rng.normal(size=1000) * 10.0 ** rng.integers(-9, 9, 1000)}  # fmt: skip
    order = rng.permutation(1000)
    other = {k: [v[i] for i in order] for k, v in rows.items()}
    text = "PREDICT SUM(orders.amount, 0, 10) FOR EACH customers.id"
    a = make(shop(rows), tmp_path, text).to_arrow()
    b = make(shop(other), tmp_path, text).to_arrow()
    assert a.equals(b)


@pytest.mark.parametrize("huge", [1e300, -1e40, 7e12, np.inf, 1e-300])
@pytest.mark.parametrize("aggregation", ["SUM(orders.amount, 0, 10)", "AVG(orders.amount, 0, 10)"])
def test_a_huge_value_after_a_window_changes_no_bit_of_its_sum(
    huge: float, aggregation: str, tmp_path: Path
) -> None:
    rng = np.random.default_rng(1)
    rows = {"customer": [1, 2] * 200, "time": at(*rng.uniform(0, 90, 399), 0),
            "amount": [*(rng.normal(size=200) * 10.0 ** rng.integers(-9, 9, 200)),
                       *np.round(rng.normal(30, 9, 200), 2)]}  # fmt: skip
    later = {"customer": [1, 2, 2], "time": at(100, 100, 100), "amount": [2.0, 3.5, huge]}
    text = f"PREDICT {aggregation} FOR EACH customers.id"
    tables = []
    for more in (later, {**later, "amount": [2.0, 3.5, 1.0]}):
        all_rows = {k: [*v, *more[k]] for k, v in rows.items()}
        table = make(shop(all_rows), tmp_path, text, timeframe_step=1, end_time="2023-03-31")
        tables.append(table.to_arrow())
    assert len(tables[0]) > 100
    assert tables[0].equals(tables[1])


def test_sums_of_very_unlike_values_are_right(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    size = np.concatenate([rng.integers(-300, 290, 60), rng.integers(-3, 3, 60)])
    amount = rng.normal(size=120) * 10.0**size
    time = at(*rng.integers(1, 100, 118), 0, 100)
    world = shop({"customer": [1, 2, 3] * 40, "time": time, "amount": amount})
    table = make(world, tmp_path, "PREDICT SUM(orders.amount, 0, 10) FOR EACH customers.id",
                 timeframe_step=1)  # fmt: skip
    frame = world.tables["orders"].rows
    for row in table.to_arrow().to_pylist():
        entity, anchor, target = row["ENTITY"], row["TIMESTAMP"], row["TARGET"]
        ahead = (frame.time > anchor) & (frame.time <= anchor + pd.Timedelta(days=10))
        want = math.fsum(frame.amount[ahead & (frame.customer == entity)])
        assert target == pytest.approx(want, rel=1e-15), (entity, anchor)


def test_the_report_of_huge_targets_is_finite(tmp_path: Path) -> None:
    world = shop({"customer": [1, 2, 3] * 34, "time": at(*range(102)),
                  "amount": [1e308, -1e308, 1e300] * 34})  # fmt: skip
    table = make(world, tmp_path, "PREDICT MAX(orders.amount, 0, 10) FOR EACH customers.id")
    found = table.report.splits["train"].target
    assert found.mean == pytest.approx(1e300 / 3, rel=1e-6)
    assert found.std == pytest.approx(1e308 * (2 / 3) ** 0.5, rel=1e-6)
    assert (found.low, found.median, found.high) == (-1e308, 1e300, 1e308)


def test_infinite_and_huge_values(tmp_path: Path) -> None:
    """inf is a number to compare; as a target it is dropped and counted."""
    amount = [1.0, np.inf, 1e308, 1e308, -np.inf, np.inf, np.nan] + [2.5] * 20
    customer = [1, 2, 3, 3, 4, 4, 5] + [1, 2, 3, 4, 5] * 4
    time = at(*[35] * 7, *range(0, 100, 5))
    world = shop({"customer": customer, "time": time, "amount": amount})
    table = make(world, tmp_path, "PREDICT SUM(orders.amount, 0, 20) FOR EACH customers.id",
                 timeframe_step=5)  # fmt: skip
    dropped = table.report.dropped
    assert dropped["target is not a finite number"] + dropped["target is NULL"] > 3
    assert np.isfinite(table.examples.target).all()
    binary = make(world, tmp_path, "PREDICT SUM(orders.amount, 0, 20) > 100 FOR EACH customers.id",
                  timeframe_step=5, split="DateOffsetSplit([-40, -20])")  # fmt: skip
    rows = binary.to_arrow().to_pandas()
    assert rows[rows.TARGET].ENTITY.isin([2, 3]).all()
    assert rows.TARGET.any()


def test_first_and_last_break_ties_by_key(tmp_path: Path) -> None:
    world = shop(
        {"customer": [1] * 9, "order_id": [5, 3, 4, 10, 11, 12, 20, 21, 22],
         "time": at(85, 85, 85, 0, 100, 45, 65, 75, 75), "kind": list("pqrabcdef")}
    )  # fmt: skip
    plan = {"split": "DateOffsetSplit([-20, -10])"}
    first = make(world, tmp_path, "PREDICT FIRST(orders.kind, 0, 10) FOR EACH customers.id", **plan)
    last = make(world, tmp_path, "PREDICT LAST(orders.kind, 0, 10) FOR EACH customers.id", **plan)
    assert first.query.task_type is TaskType.MULTICLASS_CLASSIFICATION
    assert dict(zip(first.to_arrow()["TIMESTAMP"].to_pylist(), first.to_arrow()["TARGET"].to_pylist(),
                    strict=True))[at(80)[0]] == "q"  # fmt: skip
    assert dict(zip(last.to_arrow()["TIMESTAMP"].to_pylist(), last.to_arrow()["TARGET"].to_pylist(),
                    strict=True))[at(80)[0]] == "p"  # fmt: skip
    assert first.examples.classes == tuple(sorted(first.examples.classes or ()))


def test_classes_of_numbers_keep_their_type(tmp_path: Path) -> None:
    world = daily()
    world.tables["orders"].columns["kind"] = "code"
    world.tables["orders"].rows["kind"] = np.arange(101) % 3 * 10
    table = make(world, tmp_path, "PREDICT LAST(orders.kind, 0, 10) FOR EACH customers.id")
    assert table.examples.classes == (0, 10, 20)
    assert table.to_arrow().schema.field("TARGET").type == pa.int64()


def people(n: int = 40, **columns: object) -> World:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"id": rng.permutation(n), "age": rng.normal(40, 10, n), "plan": ["a", "b"] * (n // 2),
         "joined": at(*rng.integers(0, 99, n)), **columns}
    )  # fmt: skip
    kinds = {"id": "key", "age": "number", "plan": "category", "joined": "time"}
    return World({"people": WorldTable(kinds, frame, "id")})


def test_static_targets_take_the_rows_that_have_one(tmp_path: Path) -> None:
    age = [None if i % 4 == 0 else float(i) for i in range(40)]
    table = make(people(age=age), tmp_path, "PREDICT people.age FOR EACH people.id")
    assert table.examples.anchor is None
    assert sorted(table.examples.target) == [float(i) for i in range(40) if i % 4]
    assert table.report.dropped == {"target is NULL": 10}
    assert [s.target.rows for s in table.report.splits.values()] == [24, 3, 3]
    assert table.to_arrow().column_names == ["ENTITY", "TARGET", "SPLIT"]


def test_a_column_with_two_values_is_binary(tmp_path: Path) -> None:
    table = make(people(), tmp_path, "PREDICT people.plan FOR EACH people.id")
    assert table.query.task_type is TaskType.BINARY_CLASSIFICATION
    assert table.examples.classes == ("a", "b")
    assert set(table.examples.target) == {0.0, 1.0}
    assert set(table.to_arrow()["TARGET"].to_pylist()) == {"a", "b"}


def test_static_rows_with_a_time_are_split_by_it(tmp_path: Path) -> None:
    world = people()
    world.tables["people"].time = "joined"
    table = make(world, tmp_path, "PREDICT people.age > 40 FOR EACH people.id")
    joined = world.tables["people"].rows.set_index("id")["joined"]
    rows = table.to_arrow().to_pandas()
    when = rows.ENTITY.map(joined)
    assert when[rows.SPLIT == "train"].max() <= when[rows.SPLIT == "val"].min()
    assert when[rows.SPLIT == "val"].max() <= when[rows.SPLIT == "test"].min()


def test_the_seed_shuffles(tmp_path: Path) -> None:
    text = "PREDICT people.age FOR EACH people.id"
    one, two, other = (make(people(), tmp_path, text, seed=s).examples.split for s in (1, 1, 2))
    assert (one == two).all()
    assert (one != other).any()


def test_weights_come_from_the_entity(tmp_path: Path) -> None:
    table = make(people(), tmp_path, "PREDICT people.plan FOR EACH people.id", weight_column="age")
    age = people().tables["people"].rows.set_index("id")["age"]
    rows = table.to_arrow().to_pandas()
    assert rows.WEIGHT.tolist() == rows.ENTITY.map(age).tolist()
    with pytest.raises(InvalidRequest, match=r"people\.plan holds no numbers"):
        make(people(), tmp_path, "PREDICT people.age FOR EACH people.id", weight_column="plan")
    with pytest.raises(TaskError) as caught:
        make(people(age=[-1.0] * 40), tmp_path, "PREDICT people.plan FOR EACH people.id",
             weight_column="age")  # fmt: skip
    assert caught.value.code == "task.bad_weight"


def test_a_target_of_one_class_names_its_counts(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="All 28 targets of the train split are True") as caught:
        make(daily(), tmp_path, "PREDICT COUNT(orders.*, 0, 10) < 100 FOR EACH customers.id")
    assert caught.value.code == "task.one_class"


def test_a_class_that_is_missing_in_a_held_split_is_a_warning(tmp_path: Path) -> None:
    kind = ["a"] * 50 + ["b"] * 31 + ["c"] * 20
    world = shop({"customer": [1, 2] * 50 + [1], "time": at(*range(101)), "kind": kind})
    table = make(world, tmp_path, "PREDICT LAST(orders.kind, 0, 10) FOR EACH customers.id")
    assert table.examples.classes == ("a", "b", "c")
    assert any("test split" in w for w in table.report.warnings)


def test_empty_tables_and_populations_have_their_sentences(tmp_path: Path) -> None:
    world = daily()
    world.tables["orders"].rows = world.tables["orders"].rows.iloc[:0]
    with pytest.raises(TaskError, match="no row with a time") as caught:
        make(world, tmp_path, "PREDICT COUNT(orders.*, 0, 10) FOR EACH customers.id")
    assert caught.value.code == "task.empty_table"
    text = "PREDICT COUNT(orders.*, 0, 10) FOR EACH customers.id WHERE customers.country = 'FR'"
    with pytest.raises(TaskError, match="WHERE does not hold: 36") as caught:
        make(daily(), tmp_path, text)
    assert caught.value.code == "task.no_rows"


def test_splits_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="rows of your own"):
        make(daily(), tmp_path, "PREDICT COUNT(orders.*, 0, 10) FOR EACH customers.id",
             split="ManualSplit('x')")  # fmt: skip
    with pytest.raises(InvalidRequest, match="static query"):
        make(people(), tmp_path, "PREDICT people.age FOR EACH people.id",
             split="DateOffsetSplit([-20, -10])")  # fmt: skip


def test_names_that_sql_would_fold_or_break(tmp_path: Path) -> None:
    """Names that differ in case, hold quotes, or are DuckDB's own mean what they say."""
    rng = np.random.default_rng(0)
    columns = {"ID": "key", "Who": "key", "who": "number", "Time": "time", 'a"b; DROP': "number",
               "file_row_number": "number", "select": "category"}  # fmt: skip
    frame = pd.DataFrame({
        "ID": range(101), "Who": rng.integers(0, 3, 101), "who": 100.0, "Time": at(*range(101)),
        'a"b; DROP': 2.0, "file_row_number": 7.0, "select": ["it's"] * 101,
    })  # fmt: skip
    world = World(
        {"people x": WorldTable({"Key": "key", "key": "number"},
                                pd.DataFrame({"Key": [0, 1, 2], "key": [5.0, 6.0, 7.0]}), "Key"),
         "or'ders": WorldTable(columns, frame, "ID", "Time")},
        (Link("or'ders", "Who", "people x"),),
    )  # fmt: skip
    one = make(
        world,
        tmp_path,
        "PREDICT SUM(`or'ders`.who WHERE `or'ders`.`select` = \"it's\", 0, 10) "
        "FOR EACH `people x`.Key WHERE `people x`.key > 5.5",
    )
    assert set(one.to_arrow()["ENTITY"].to_pylist()) == {1, 2}
    assert set(np.mod(one.examples.target, 100)) == {0.0}
    row = make(world, tmp_path,
               "PREDICT MAX(`or'ders`.file_row_number, 0, 10) FOR EACH `people x`.Key")  # fmt: skip
    assert set(row.examples.target) == {7.0}


def test_keys_of_different_types_join(tmp_path: Path) -> None:
    world = daily()
    world.tables["customers"].columns["id"] = "text_key"
    world.tables["customers"].rows["id"] = world.tables["customers"].rows["id"].astype(str)
    text = "PREDICT COUNT(orders.*, 0, 10) > 2 FOR EACH customers.id"
    mixed = make(world, tmp_path, text)
    plain = make(daily(), tmp_path, text)
    assert mixed.to_arrow()["TARGET"].equals(plain.to_arrow()["TARGET"])
    world = daily()
    world.tables["orders"].columns["customer"] = "number"  # as a CSV with empty cells gives it
    assert make(world, tmp_path, text).to_arrow().equals(plain.to_arrow())


def test_a_later_parent_row_tells_nothing_earlier(tmp_path: Path) -> None:
    """WHERE on a table with a time: what was not there yet counts as NULL."""
    world = daily()
    world.tables["customers"].columns["shop"] = "key"
    world.tables["customers"].rows["shop"] = [1, 1, 2, 2]
    world.tables["shops"] = WorldTable(
        {"shop_id": "key", "size": "number", "opened": "time"},
        pd.DataFrame({"shop_id": [1, 2], "size": [9.0, 9.0], "opened": at(0, 55)}),
        "shop_id", "opened",
    )  # fmt: skip
    world.links += (Link("customers", "shop", "shops"),)
    table = make(world, tmp_path,
                 "PREDICT COUNT(orders.*, 0, 10) FOR EACH customers.id WHERE shops.size > 5")  # fmt: skip
    rows = table.to_arrow().to_pandas()
    first = rows.groupby("ENTITY").TIMESTAMP.min()
    assert first.tolist() == [*at(10, 10), *at(60, 60)]


def test_a_table_that_points_to_itself(tmp_path: Path) -> None:
    """How many people will each person bring in next."""
    n = 101
    frame = pd.DataFrame(
        {"id": range(n), "joined": at(*range(n)), "by": [None, *(i % 3 for i in range(n - 1))]}
    )
    world = World(
        {"people": WorldTable({"id": "key", "by": "key", "joined": "time"}, frame, "id", "joined")},
        (Link("people", "by", "people"),),
    )
    table = make(world, tmp_path, "PREDICT COUNT(people.*, 0, 10) FOR EACH people.id")
    rows = table.to_arrow().to_pandas()
    assert rows[at(90)[0] == rows.TIMESTAMP].set_index("ENTITY").TARGET.nlargest(4).tolist() == [
        4, 3, 3, 0,
    ]  # fmt: skip
    assert ((rows.TIMESTAMP - DAY0).dt.days >= rows.ENTITY).all()  # nobody before they joined


def test_too_little_memory_says_so(tmp_path: Path) -> None:
    snapshot, relations = daily(2000, customers=500).open(tmp_path)
    query = check("PREDICT COUNT(orders.*, 0, 10) > 2 FOR EACH customers.id", snapshot.graph)
    with pytest.raises(TaskError) as caught:
        make_training_table(snapshot, relations, query, memory_limit="1MB")
    assert caught.value.code == "task.table_too_large"
    pairs = "SELECT DISTINCT a.range, b.range FROM range(3000) AS a, range(3000) AS b"
    with open_session(snapshot, memory_limit="1MB") as session, pytest.raises(TaskError) as caught:
        session.fetch(sqlglot.parse_one(pairs, dialect="duckdb"))
    assert caught.value.code == "task.out_of_memory"


def test_anchors_in_the_report_are_exact(tmp_path: Path) -> None:
    """A fact at an odd nanosecond is D; its anchors keep the nanosecond, in JSON too."""
    odd = pd.Timedelta(123_456_789, unit="ns")
    world = daily()
    world.tables["orders"].rows["time"] += odd
    table = make(world, tmp_path, "PREDICT COUNT(orders.*, 0, 10) > 2 FOR EACH customers.id")
    shown = table.report.to_json()
    assert shown["anchors"][-1]["anchor"] == "2023-04-01T00:00:00.123456789Z"
    again = TrainingTableReport.from_json(json.loads(json.dumps(shown)))
    assert again == table.report
    assert [a.anchor for a in again.anchors] == np.unique(table.examples.anchor).tolist()


def test_rows_of_years_to_come_are_told(tmp_path: Path) -> None:
    world = daily()
    orders = world.tables["orders"].rows
    text = "PREDICT COUNT(orders.*, 0, 10) FOR EACH customers.id"
    assert make(world, tmp_path, text).report.warnings == ()
    later = orders.iloc[:3].assign(
        time=pd.to_datetime(["2200-01-01", "2150-06-01", "2200-01-01"]),
        order_id=[900, 901, 902],
    )
    world.tables["orders"].rows = pd.concat([orders, later], ignore_index=True)
    snapshot, relations = world.open(tmp_path)
    now = datetime(2024, 5, 6, tzinfo=UTC)
    table = make_training_table(
        snapshot, relations, check(text, snapshot.graph), TablePlan(end_time="2023-04-01"),
        clock=lambda: now,
    )  # fmt: skip
    (said,) = table.report.warnings
    assert said.startswith(
        "3 rows are later than now (2024-05-06) in orders, the newest of 2200-01-01"
    )
    assert "end_time" in said
    assert len(table.report.anchors) == 9


def test_the_default_split_of_links_steps_over_an_empty_end(tmp_path: Path) -> None:
    """Nobody is chosen at the newest anchor: the newest one with examples is test, and it is said."""
    world = daily()
    orders = world.tables["orders"].rows
    orders["kind"] = ["a", "b", "c", "d"] * 25 + ["a"]
    text = (
        "PREDICT LIST_DISTINCT(orders.kind WHERE orders.amount IS NOT NULL, 0, 10) RANK TOP 2 "
        "FOR EACH customers.id"
    )
    world.tables["kinds"] = WorldTable(
        {"kind": "text_key"}, pd.DataFrame({"kind": list("abcd")}), "kind"
    )
    orders.loc[orders.time > DAY0 + pd.Timedelta(days=90), "amount"] = None
    world.tables["orders"].columns["kind"] = "text_key"
    world.links += (Link("orders", "kind", "kinds"),)
    table = make(world, tmp_path, text)
    assert table.query.task_type is TaskType.TEMPORAL_LINK_PREDICTION
    assert table.report.empty_anchors == 1
    assert [a.split for a in table.report.anchors][-3:] == ["train", "val", "test"]
    assert any("The default DateOffsetSplit([-10, 0], 'days')" in w for w in table.report.warnings)
    with pytest.raises(TaskError) as caught:
        make(world, tmp_path, text, split="DateOffsetSplit([-10, 0], 'days')")
    assert caught.value.code == "task.too_few_anchors"


def test_what_there_is_comes_with_the_error(tmp_path: Path) -> None:
    with pytest.raises(UnusableTable) as caught:
        make(daily(), tmp_path, "PREDICT COUNT(orders.*, 0, 10) < 100 FOR EACH customers.id")
    assert caught.value.report is not None
    assert caught.value.report.splits["train"].target.positives == 28
    age = [1.0, 2.0] + [None] * 38
    with pytest.raises(UnusableTable, match="2 rows with a target") as caught:
        make(people(age=age), tmp_path, "PREDICT people.age FOR EACH people.id")
    assert caught.value.report is not None
    assert caught.value.report.dropped == {"target is NULL": 38}
    assert caught.value.report.target.mean == 1.5  # type: ignore[union-attr]


def test_classes_of_rows_left_out_are_no_classes_of_the_table(tmp_path: Path) -> None:
    """A class that only an anchor between two splits has is not in the table."""
    world = daily()
    kind = np.array(["a", "b"] * 50 + ["a"], dtype=object)
    kind[95:] = "only here"
    world.tables["orders"].rows["kind"] = kind
    world.tables["orders"].rows["amount"] = 1.0
    text = "PREDICT FIRST(orders.kind, 0, 10) FOR EACH customers.id"
    table = make(world, tmp_path, text, timeframe_step=5,
                 split="TimeRangeSplit([('2022-01-01', '2023-02-15'), ('2023-02-20', '2023-03-12'),"
                 "('2023-03-13', '2023-03-28')])")  # fmt: skip
    assert table.examples.classes == ("a", "b")
    assert set(table.examples.target) == {0.0, 1.0}


def test_reports_of_earlier_versions_still_read(tmp_path: Path) -> None:
    table = make(daily(), tmp_path, "PREDICT COUNT(orders.*, 0, 10) > 2 FOR EACH customers.id")
    shown = table.report.to_json()
    del shown["target"], shown["split"]
    again = TrainingTableReport.from_json(shown)
    assert (again.target, again.rule) == (None, None)
    assert again.splits == table.report.splits
