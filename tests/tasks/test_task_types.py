"""Every task type: its training table against pandas, saved, given back as own rows, scored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from relcast.core.errors import InvalidRequest, TaskError
from relcast.core.schema import Link, TaskType
from relcast.pql import CheckedQuery, check
from relcast.tasks import (
    PredictionTable,
    TablePlan,
    TrainingTable,
    TrainingTableReport,
    make_prediction_table,
    make_training_table,
    training_table_from_rows,
)
from tests.tasks.worlds import World, WorldTable

DAY0 = pd.Timestamp("2023-01-01")
DAY = pd.Timedelta(days=1)
FOR_EACH = "FOR EACH customers.id"
QUERIES = {
    "binary": f"PREDICT COUNT(orders.*, 0, 10) > 2 {FOR_EACH}",
    "regression": f"PREDICT SUM(orders.amount, 0, 10) {FOR_EACH}",
    "multiclass": f"PREDICT LAST(orders.kind, 0, 10) {FOR_EACH}",
    "multilabel": f"PREDICT LIST_DISTINCT(orders.kind, 0, 10) CLASSIFY {FOR_EACH}",
    "ranking": f"PREDICT LIST_DISTINCT(orders.kind, 0, 10) RANK TOP 2 {FOR_EACH}",
    "links": f"PREDICT LIST_DISTINCT(orders.item, 0, 10) RANK TOP 3 {FOR_EACH}",
    "link classes": f"PREDICT LIST_DISTINCT(orders.item, 0, 10) CLASSIFY {FOR_EACH}",
    "forecasting": f"PREDICT SUM(orders.amount, 0, 10) FORECAST 3 TIMEFRAMES {FOR_EACH}",
    "static number": f"PREDICT customers.age {FOR_EACH}",
    "static classes": f"PREDICT customers.plan {FOR_EACH}",
    "static multilabel": f"PREDICT customers.tags CLASSIFY {FOR_EACH}",
    "static ranking": f"PREDICT customers.tags RANK TOP 2 {FOR_EACH}",
}
LINKS = "PREDICT LIST_DISTINCT(likes.item) RANK TOP 3 FOR EACH users.id"


def market(days: int = 121, customers: int = 6) -> World:
    """Customers with tags, items by text key, and two orders on every day."""
    rng = np.random.default_rng(5)
    n = 2 * days
    orders = pd.DataFrame(
        {
            "id": range(n),
            "customer": rng.integers(0, customers, n),
            "item": rng.choice(["p", "q", "r", "s", "t", "gone"], n),
            "time": [DAY0 + DAY * (i // 2) for i in range(n)],
            "amount": rng.normal(10, 3, n).round(2),
            "kind": rng.choice(["a", "b", "c"], n),
        }
    )
    people = pd.DataFrame(
        {
            "id": range(30),
            "age": [None if i % 10 == 9 else float(20 + i) for i in range(30)],
            "plan": ["x", "y", "z"] * 10,
            "tags": [
                None if i % 6 == 5 else ["red", "blue", "green"][: i % 4][::-1] for i in range(30)
            ],
        }
    )
    return World(
        {
            "customers": WorldTable(
                {"id": "key", "age": "number", "plan": "category", "tags": "tags"}, people, "id"
            ),
            "items": WorldTable(
                {"name": "text_key"}, pd.DataFrame({"name": list("tsrqp")}), "name"
            ),
            "orders": WorldTable(
                {"id": "key", "customer": "key", "item": "text_key", "time": "time",
                 "amount": "number", "kind": "category"},
                orders, "id", "time",
            ),
        },
        (Link("orders", "customer", "customers"), Link("orders", "item", "items")),
    )  # fmt: skip


def likes() -> World:
    """No table has a time."""
    rng = np.random.default_rng(1)
    rows = pd.DataFrame(
        {"id": rng.permutation(90), "user": rng.integers(0, 19, 90),
         "item": rng.choice([10, 20, 30, 40, 99], 90)}
    )  # fmt: skip
    return World(
        {
            "users": WorldTable({"id": "key"}, pd.DataFrame({"id": range(20)}), "id"),
            "items": WorldTable({"id": "key"}, pd.DataFrame({"id": [40, 30, 20, 10]}), "id"),
            "likes": WorldTable({"id": "key", "user": "key", "item": "key"}, rows, "id"),
        },
        (Link("likes", "user", "users"), Link("likes", "item", "items")),
    )


def opened(name: str, root: Path) -> tuple[Any, Any, CheckedQuery]:
    world = likes() if name == "static links" else market()
    snapshot, relations = world.open(root)
    text = LINKS if name == "static links" else QUERIES[name]
    return snapshot, relations, check(text, snapshot.graph)


ALL = [*QUERIES, "static links"]


def window(entity: int, anchor: pd.Timestamp, start: int, end: int) -> pd.DataFrame:
    orders = market().tables["orders"].rows
    inside = (orders.time > anchor + DAY * start) & (orders.time <= anchor + DAY * end)
    return orders[inside & (orders.customer == entity)].sort_values(["time", "id"])


def expected(name: str, entity: int, anchor: pd.Timestamp) -> Any:
    """The target by pandas; None where the example is dropped."""
    ahead = window(entity, anchor, 0, 10)
    match name:
        case "binary":
            return len(ahead) > 2
        case "regression":
            return ahead.amount.sum()
        case "multiclass":
            return None if ahead.empty else ahead.kind.iloc[-1]
        case "multilabel" | "ranking":
            return list(dict.fromkeys(ahead.kind)) or None
        case "links" | "link classes":
            return list(dict.fromkeys(i for i in ahead["item"] if i != "gone")) or None
        case "forecasting":
            return [window(entity, anchor, s, s + 10).amount.sum() for s in (0, 10, 20)]
    raise AssertionError(name)


@pytest.mark.parametrize("name", list(QUERIES)[:8])
def test_temporal_targets_equal_pandas(name: str, tmp_path: Path) -> None:
    where = opened(name, tmp_path)
    table = make_training_table(*where)
    rows = table.to_arrow().to_pylist()
    assert len(rows) > 60
    seen = set()
    for row in rows:
        want = expected(name, row["ENTITY"], row["TIMESTAMP"])
        seen.add((row["ENTITY"], row["TIMESTAMP"]))
        if isinstance(want, list) and name == "multilabel":
            assert set(row["TARGET"]) == set(want)
        elif name in ("regression", "forecasting"):
            assert row["TARGET"] == pytest.approx(want)
        else:
            assert row["TARGET"] == want, row
    first, last = min(t for _, t in seen), max(t for _, t in seen)
    assert last == DAY0 + DAY * (90 if name == "forecasting" else 110)
    for anchor in pd.date_range(first, last, freq="10D"):
        if anchor not in {t for _, t in seen}:
            continue  # left out between splits
        for entity in range(30):
            if (entity, anchor) not in seen:
                assert expected(name, entity, anchor) is None


def test_the_types_of_targets(tmp_path: Path) -> None:
    kinds = {
        "binary": pa.bool_(),
        "regression": pa.float64(),
        "multiclass": pa.string(),
        "multilabel": pa.list_(pa.string()),
        "ranking": pa.list_(pa.string()),
        "links": pa.list_(pa.string()),
        "forecasting": pa.list_(pa.float64()),
        "static multilabel": pa.list_(pa.string()),
        "static links": pa.list_(pa.int64()),
    }
    for name, kind in kinds.items():
        table = make_training_table(*opened(name, tmp_path))
        assert table.to_arrow().schema.field("TARGET").type.equals(kind), name
    assert make_training_table(*opened("links", tmp_path)).item_keys is not None
    found = make_training_table(*opened("multilabel", tmp_path)).examples
    assert found.classes == ("a", "b", "c")
    assert found.target is None


def test_the_default_splits(tmp_path: Path) -> None:
    """Links and forecasts: one anchor each for val and test, of whole windows."""
    for name, anchors, rule in (
        ("links", 11, "DateOffsetSplit([-10, 0], 'days')"),
        ("forecasting", 9, "DateOffsetSplit([-50, -20], 'days')"),
        ("ranking", 11, "ApproxDateOffsetSplit([0.8, 0.1, 0.1])"),
    ):
        report = make_training_table(*opened(name, tmp_path)).report
        assert report.rule == rule
        assert [report.splits[s].anchors for s in ("val", "test")] == [1, 1]
        assert len(report.anchors) == anchors
        assert report.left_out_anchors == (4 if name == "forecasting" else 0)
    static = make_training_table(*opened("static links", tmp_path)).report
    assert static.rule == "RandomSplit([0.8, 0.1, 0.1])"


@pytest.mark.parametrize("name", ALL)
def test_a_saved_table_comes_back_the_same(name: str, tmp_path: Path) -> None:
    where = opened(name, tmp_path)
    made = make_training_table(*where)
    made.save(tmp_path / "table.parquet")
    again = TrainingTable.load(tmp_path / "table.parquet", *where)
    assert again.to_arrow().equals(made.to_arrow())
    assert again.report == made.report
    assert again.query == made.query
    assert again.examples.classes == made.examples.classes
    for field in ("entity", "anchor", "target", "split"):
        a, b = getattr(made.examples, field), getattr(again.examples, field)
        assert (a is None and b is None) or np.array_equal(a, b), field
    if made.examples.lists is not None:
        assert np.array_equal(made.examples.lists.offsets, again.examples.lists.offsets)
        assert np.array_equal(made.examples.lists.values, again.examples.lists.values)
    assert TrainingTableReport.from_json(made.report.to_json()) == made.report


@pytest.mark.parametrize("name", ALL)
def test_the_rows_of_a_table_given_back_are_that_table(name: str, tmp_path: Path) -> None:
    where = opened(name, tmp_path)
    made = make_training_table(*where)
    rows = made.to_arrow()
    shuffled = rows.take(pa.array(np.random.default_rng(0).permutation(len(made))))
    again = training_table_from_rows(*where, shuffled)
    assert again.to_arrow().equals(rows)
    assert again.report.splits == made.report.splits
    weighted = rows.append_column("WEIGHT", pa.array(np.arange(float(len(made)))))
    assert training_table_from_rows(*where, weighted).examples.weight.tolist() == list(
        range(len(made))
    )


@pytest.mark.parametrize("name", ALL)
def test_taking_rows_takes_all_of_them(name: str, tmp_path: Path) -> None:
    made = make_training_table(*opened(name, tmp_path))
    places = np.array([3, 0, 7])
    part = made.take(places)
    assert part.to_arrow().equals(made.to_arrow().take(pa.array(places)))
    test = made.examples.split == 2
    assert made.take(test).to_arrow().equals(made.to_arrow().filter(pa.array(test)))


def test_fixed_lists_are_forecasts_too(tmp_path: Path) -> None:
    where = opened("forecasting", tmp_path)
    made = make_training_table(*where)
    rows = made.to_arrow()
    flat = pa.array(made.examples.target.ravel())
    fixed = rows.set_column(2, "TARGET", pa.FixedSizeListArray.from_arrays(flat, 3))
    assert training_table_from_rows(*where, fixed).to_arrow().equals(rows)
    floats = rows.set_column(2, "TARGET", rows["TARGET"].cast(pa.large_list(pa.float32())))
    assert training_table_from_rows(*where, floats).examples.target.shape == (len(made), 3)


@pytest.mark.parametrize(
    ("name", "bad", "told"),
    [
        ("forecasting", [1.0, 2.0], "forecasts 3 timeframes"),
        ("forecasting", [1.0, 2.0, float("inf")], "not finite"),
        ("forecasting", 1.0, "lists of 3 numbers"),
        ("links", "p", "a list is needed"),
        ("multilabel", "a", "a list is needed"),
        ("regression", [1.0], "lists"),
    ],
)
def test_targets_of_another_shape_are_refused(
    name: str, bad: Any, told: str, tmp_path: Path
) -> None:
    where = opened(name, tmp_path)
    rows = make_training_table(*where).to_arrow()
    target = pa.array([bad] * rows.num_rows)
    with pytest.raises(TaskError, match=told) as caught:
        training_table_from_rows(*where, rows.set_column(2, "TARGET", target))
    assert caught.value.code == "task.bad_column"


def test_a_forecast_with_a_hole_is_left_out_and_counted(tmp_path: Path) -> None:
    where = opened("forecasting", tmp_path)
    rows = make_training_table(*where).to_arrow()
    target = rows["TARGET"].to_pylist()
    target[0], target[1], target[2] = [1.0, None, 2.0], [1.0, float("nan"), 2.0], None
    table = training_table_from_rows(*where, rows.set_column(2, "TARGET", pa.array(target)))
    assert table.report.dropped == {"TARGET is NULL": 1, "TARGET has a NULL in it": 2}
    assert len(table) == rows.num_rows - 3


def test_listed_keys_that_are_none_are_refused_unless_allowed(tmp_path: Path) -> None:
    where = opened("links", tmp_path)
    rows = make_training_table(*where).to_arrow()
    target = rows["TARGET"].to_pylist()
    target[0], target[1], target[2] = ["p", "zzz", "q", "p", None], ["zzz"], []
    rows = rows.set_column(2, "TARGET", pa.array(target))
    with pytest.raises(TaskError, match=r"are no key of items, such as 'zzz'") as caught:
        training_table_from_rows(*where, rows)
    assert caught.value.code == "task.unmatched_rows"
    table = training_table_from_rows(*where, rows, allow_unmatched=True)
    assert table.report.dropped == {
        "member of TARGET that is no key of the listed table": 3,
        "TARGET lists nothing that is known": 1,
        "TARGET is empty, so it ranks nothing": 1,
    }
    assert table.to_arrow()["TARGET"][0].as_py() == ["p", "q"]
    assert len(table) == rows.num_rows - 2


def test_empty_lists_are_targets_of_classes_and_rank_nothing(tmp_path: Path) -> None:
    classify = make_training_table(*opened("static multilabel", tmp_path))
    rank = make_training_table(*opened("static ranking", tmp_path))
    tags = market().tables["customers"].rows.tags
    empty = sum(t == [] for t in tags)
    assert empty == 8
    assert classify.report.target.empty == empty
    assert rank.report.target.empty == 0
    assert len(classify) == len(rank) + empty == tags.notna().sum()
    assert any("empty" in reason for reason in rank.report.dropped)


def test_the_report_of_lists(tmp_path: Path) -> None:
    table = make_training_table(*opened("links", tmp_path))
    lists = table.to_arrow()["TARGET"].to_pylist()
    found = table.report.target
    assert found.mean_length == pytest.approx(np.mean([len(x) for x in lists]))
    assert found.distinct == 5
    counts = pd.Series([v for x in lists for v in x]).value_counts()
    assert dict(found.most_frequent) == counts.to_dict()
    shown = found.to_json()["most_frequent"]
    assert shown[0]["share"] == pytest.approx(counts.max() / len(lists))
    assert [s["rows"] for s in shown] == sorted(counts, reverse=True)
    assert sum(a.target.rows for a in table.report.anchors) == len(table)
    assert table.report.splits["test"].unseen == 0


def test_the_report_of_forecasts(tmp_path: Path) -> None:
    table = make_training_table(*opened("forecasting", tmp_path))
    found, target = table.report.target, table.examples.target
    assert found.windows == pytest.approx(target.mean(axis=0))
    assert found.mean == pytest.approx(target.mean())
    assert (found.low, found.high) == (target.min(), target.max())
    assert found.rows == len(table)


def test_a_class_only_in_test_is_told(tmp_path: Path) -> None:
    world = market()
    orders = world.tables["orders"].rows
    orders.loc[orders.index[-3:], "kind"] = "new"
    snapshot, relations = world.open(tmp_path)
    table = make_training_table(snapshot, relations, check(QUERIES["multilabel"], snapshot.graph))
    assert table.examples.classes == ("a", "b", "c", "new")
    assert table.report.splits["test"].unseen == 1
    assert table.report.splits["test"].unseen_share > 0
    assert any(w.startswith("One class of the test split") for w in table.report.warnings)


def test_cold_items_are_told(tmp_path: Path) -> None:
    world = market()
    orders = world.tables["orders"].rows
    orders.loc[orders.time > DAY0 + 110 * DAY, "item"] = "t"
    orders.loc[orders.time <= DAY0 + 110 * DAY, "item"] = [*"pqrs"] * 55 + ["p", "q"]
    snapshot, relations = world.open(tmp_path)
    table = make_training_table(snapshot, relations, check(QUERIES["links"], snapshot.graph))
    assert table.report.splits["test"].unseen_share == 1.0
    assert any("in no row of train" in w for w in table.report.warnings)


def test_too_many_classes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relcast.tasks.checks.MOST_CLASSES", 2)
    for name, hint in (
        ("multilabel", "LIST_DISTINCT(orders.kind WHERE orders.kind IN"),
        ("link classes", "RANK TOP k ranks the rows of items"),
        ("static classes", "customers.plan ="),
    ):
        with pytest.raises(TaskError, match="at most 2 can be told apart") as caught:
            make_training_table(*opened(name, tmp_path))
        assert caught.value.code == "task.too_many_classes"
        assert hint in caught.value.hint


def test_lists_of_one_value_are_refused_with_the_report(tmp_path: Path) -> None:
    world = market()
    world.tables["orders"].rows["kind"] = "a"
    snapshot, relations = world.open(tmp_path)
    query = check(QUERIES["multilabel"], snapshot.graph)
    with pytest.raises(TaskError, match="one and the same value") as caught:
        make_training_table(snapshot, relations, query)
    assert caught.value.code == "task.one_class"
    assert "CONTAINS" in caught.value.hint
    assert caught.value.report.splits["train"].target.distinct == 1  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", [n for n in ALL if n != "static classes"])
def test_prediction_tables(name: str, tmp_path: Path) -> None:
    where = opened(name, tmp_path)
    table = make_prediction_table(*where)
    people = market().tables["customers"].rows
    keys = table.keys().to_pylist()
    if name == "static links":
        assert keys == list(range(20))  # who has likes can have more
    elif name == "static number":
        assert keys == people.id[people.age.isna()].tolist()
    elif name in ("static multilabel", "static ranking"):
        assert keys == people.id[people.tags.isna()].tolist()
    else:
        assert keys == list(range(30))
        assert (table.anchor == (DAY0 + 120 * DAY).value).all()
    places = np.array([2, 0])
    assert table.take(places).to_arrow().equals(table.to_arrow().take(pa.array(places)))
    table.save(tmp_path / "p.parquet")
    assert PredictionTable.load(tmp_path / "p.parquet", *where).to_arrow().equals(table.to_arrow())


def test_static_classes_without_a_missing_value_have_nothing_to_score(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="30: target is known"):
        make_prediction_table(*opened("static classes", tmp_path))


def test_the_plan_and_the_query_forecast_alike(tmp_path: Path) -> None:
    where = opened("regression", tmp_path)
    with pytest.raises(InvalidRequest, match="forecasts nothing") as caught:
        make_training_table(*where, TablePlan(forecast_length=3))
    assert caught.value.code == "task.invalid_plan"
    snapshot, relations, _ = where
    query = check(QUERIES["regression"], snapshot.graph, forecast_length=3)
    assert query.task_type is TaskType.FORECASTING
    table = make_training_table(snapshot, relations, query, TablePlan(forecast_length=3))
    again = make_training_table(*opened("forecasting", tmp_path))
    assert table.to_arrow().equals(again.to_arrow())


def test_only_some_entities(tmp_path: Path) -> None:
    where = opened("links", tmp_path)
    whole = make_training_table(*where).to_arrow().to_pandas()
    part = make_training_table(*where, among=np.array([1, 4])).to_arrow().to_pandas()
    kept = whole[whole.ENTITY.isin([1, 4])].reset_index(drop=True)
    assert part.drop(columns="TARGET").equals(kept.drop(columns="TARGET"))
    assert [list(t) for t in part.TARGET] == [list(t) for t in kept.TARGET]
