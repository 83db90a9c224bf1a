"""Rows of one's own, saved tables, prediction tables, and the target at any moment."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from relcast.core.errors import SourceError, TaskError
from relcast.core.schema import Link, TaskType
from relcast.pql import check
from relcast.tasks import (
    PredictionTable,
    TablePlan,
    TrainingTable,
    evaluate_target,
    examples_at,
    make_prediction_table,
    make_training_table,
    population,
    prediction_table_from_rows,
    training_table_from_rows,
)
from tests.tasks.test_generate import at, daily, people
from tests.tasks.worlds import World, WorldTable

COUNT = "PREDICT COUNT(orders.*, 0, 10) > 2 FOR EACH customers.id"


def opened(world, root: Path, text: str):
    snapshot, relations = world.open(root)
    return snapshot, relations, check(text, snapshot.graph)


def rows_of(table: TrainingTable) -> pa.Table:
    return table.to_arrow()


def test_ones_own_rows_keep_their_splits_and_weights(tmp_path: Path) -> None:
    where = opened(daily(), tmp_path, COUNT)
    made = make_training_table(*where)
    rows = rows_of(made).append_column("WEIGHT", pa.array(np.arange(36.0)))
    table = training_table_from_rows(*where, rows)
    assert table.examples.split.tolist() == made.examples.split.tolist()
    assert table.examples.target.tolist() == made.examples.target.tolist()
    assert table.examples.weight.tolist() == list(range(36))
    assert table.report.splits == made.report.splits


def test_without_a_split_column_the_plan_splits(tmp_path: Path) -> None:
    where = opened(daily(), tmp_path, COUNT)
    made = make_training_table(*where)
    rows = rows_of(made).drop_columns(["SPLIT"])
    table = training_table_from_rows(*where, rows, TablePlan())
    assert table.to_arrow().equals(made.to_arrow())
    renamed = rows_of(made).rename_columns(["ENTITY", "TIMESTAMP", "TARGET", "part"])
    manual = training_table_from_rows(*where, renamed, TablePlan(split="ManualSplit('part')"))
    assert manual.to_arrow().equals(made.to_arrow())
    with pytest.raises(TaskError, match="'parts'") as caught:
        training_table_from_rows(*where, renamed, TablePlan(split="ManualSplit('parts')"))
    assert "'part'" in caught.value.hint


@pytest.mark.parametrize("spelling", ["int", "float", "text", "zone", "date", "iso"])
def test_keys_and_times_in_other_spellings(tmp_path: Path, spelling: str) -> None:
    where = opened(daily(), tmp_path, COUNT)
    made = rows_of(make_training_table(*where))
    frame = made.to_pandas()
    frame["TARGET"] = frame["TARGET"].astype(int)
    match spelling:
        case "int":
            frame["ENTITY"] = frame["ENTITY"].astype("int16")
        case "float":
            frame["ENTITY"] = frame["ENTITY"].astype(float)
        case "text":
            frame["ENTITY"] = frame["ENTITY"].astype(str)
            frame["TARGET"] = frame["TARGET"].map({0: "False", 1: "true"})
        case "zone":
            frame["TIMESTAMP"] = (
                frame["TIMESTAMP"].dt.tz_localize("UTC").dt.tz_convert(timezone(timedelta(hours=5)))
            )
        case "date":
            frame["TIMESTAMP"] = frame["TIMESTAMP"].dt.date
        case "iso":
            frame["TIMESTAMP"] = frame["TIMESTAMP"].astype(str)
    table = training_table_from_rows(*where, pa.Table.from_pandas(frame, preserve_index=False))
    assert table.to_arrow().equals(made)


def test_rows_that_do_not_join_are_refused_unless_allowed(tmp_path: Path) -> None:
    where = opened(daily(), tmp_path, COUNT)
    made = rows_of(make_training_table(*where))
    entity = made["ENTITY"].to_pylist()
    entity[:2], target = [77, None], made["TARGET"].to_pylist()
    target[2] = None
    rows = made.set_column(0, "ENTITY", pa.array(entity)).set_column(2, "TARGET", pa.array(target))
    with pytest.raises(TaskError, match="2 of 36 rows have an ENTITY that is no key") as caught:
        training_table_from_rows(*where, rows)
    assert caught.value.code == "task.unmatched_rows"
    assert "77" in caught.value.message
    table = training_table_from_rows(*where, rows, allow_unmatched=True)
    assert table.report.dropped == {
        "ENTITY is no key of the entity table": 2, "TARGET is NULL": 1,
    }  # fmt: skip
    assert len(table) == 33


def test_splits_of_ones_own_that_overlap_are_warned_of(tmp_path: Path) -> None:
    where = opened(daily(), tmp_path, COUNT)
    made = rows_of(make_training_table(*where, TablePlan(timeframe_step=5)))
    turn = pa.array(["train", "val", "test"] * made.num_rows).slice(0, made.num_rows)
    names = [n for n in made.column_names if n != "SPLIT"]
    table = training_table_from_rows(*where, made.select(names).append_column("SPLIT", turn))
    assert any("overlap" in w for w in table.report.warnings)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda t: t.drop_columns(["TARGET"]), "task.missing_column"),
        (lambda t: t.drop_columns(["TIMESTAMP"]), "task.missing_column"),
        (lambda t: t.set_column(2, "TARGET", pa.array([3] * 36)), "task.bad_column"),
        (lambda t: t.set_column(1, "TIMESTAMP", pa.array([3] * 36)), "task.bad_column"),
        (lambda t: t.set_column(1, "TIMESTAMP", pa.array(["soon"] * 36)), "task.bad_column"),
        (lambda t: t.set_column(3, "SPLIT", pa.array(["later"] * 36)), "task.bad_column"),
        (lambda t: t.set_column(3, "SPLIT", pa.array(["train"] * 36)), "task.too_few_rows"),
        (lambda t: t.set_column(2, "TARGET", pa.array([True] * 36)), "task.one_class"),
        (lambda t: t.slice(0, 0), "task.too_few_rows"),
    ],
)
def test_unusable_rows_are_refused_with_a_code(tmp_path: Path, change, code: str) -> None:
    where = opened(daily(), tmp_path, COUNT)
    rows = change(rows_of(make_training_table(*where)))
    with pytest.raises(TaskError) as caught:
        training_table_from_rows(*where, rows)
    assert caught.value.code == code
    assert caught.value.hint


def test_static_rows_of_ones_own(tmp_path: Path) -> None:
    where = opened(people(), tmp_path, "PREDICT people.plan FOR EACH people.id")
    rows = pa.table({"ENTITY": list(range(30)), "TARGET": ["a", "b", "b"] * 10})
    table = training_table_from_rows(*where, rows)
    assert table.examples.classes == ("a", "b")
    assert table.query.task_type is TaskType.BINARY_CLASSIFICATION
    assert sorted(np.bincount(table.examples.split)) == [3, 3, 24]
    assert dict(
        zip(table.keys().to_pylist(), table.to_arrow()["TARGET"].to_pylist(), strict=True)
    ) == {i: ["a", "b", "b"][i % 3] for i in range(30)}


@pytest.mark.parametrize(
    "text",
    [
        COUNT,
        "PREDICT LAST(orders.kind, 0, 10) FOR EACH customers.id",
        "PREDICT SUM(orders.amount, 0, 10) FOR EACH customers.id",
    ],
)
def test_a_saved_table_comes_back_the_same(tmp_path: Path, text: str) -> None:
    where = opened(daily(), tmp_path, text)
    made = make_training_table(*where)
    file = tmp_path / "deep" / "table.parquet"
    made.save(file)
    again = TrainingTable.load(file, *where)
    assert again.to_arrow().equals(made.to_arrow())
    assert again.report == made.report
    assert again.query == made.query
    assert again.examples.classes == made.examples.classes
    assert (again.examples.entity == made.examples.entity).all()
    assert [p.name for p in file.parent.iterdir()] == ["table.parquet"]


def test_a_two_valued_column_stays_binary_when_loaded(tmp_path: Path) -> None:
    where = opened(people(), tmp_path, "PREDICT people.plan FOR EACH people.id")
    made = make_training_table(*where)
    made.save(tmp_path / "t.parquet")
    again = TrainingTable.load(tmp_path / "t.parquet", *where)
    assert again.query.task_type is TaskType.BINARY_CLASSIFICATION
    assert (again.examples.target == made.examples.target).all()


def test_files_of_another_kind_are_refused(tmp_path: Path) -> None:
    where = opened(daily(), tmp_path, COUNT)
    make_prediction_table(*where).save(tmp_path / "p.parquet")
    with pytest.raises(TaskError) as caught:
        TrainingTable.load(tmp_path / "p.parquet", *where)
    assert caught.value.code == "task.unreadable_table"
    pq.write_table(pa.table({"ENTITY": [1]}), tmp_path / "x.parquet")
    with pytest.raises(TaskError):
        PredictionTable.load(tmp_path / "x.parquet", *where)
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(SourceError) as broken:
        TrainingTable.load(tmp_path / "broken.parquet", *where)
    assert broken.value.code == "task.unreadable_table"


def test_the_prediction_table_is_the_population_at_the_latest_time(tmp_path: Path) -> None:
    text = COUNT + " WHERE COUNT(orders.*, -5, 0) > 0 ASSUMING COUNT(orders.*, 0, 3) > 99"
    snapshot, relations, query = opened(daily(), tmp_path, text)
    table = make_prediction_table(snapshot, relations, query)
    orders = daily().tables["orders"].rows
    want = sorted(set(orders[orders.time > at(95)[0]].customer))
    assert table.keys().to_pylist() == want
    assert table.anchor_text == "2023-04-11T00:00:00Z"
    assert (table.anchor == at(100)[0].value).all()
    assert table.dropped == {"WHERE does not hold": 4 - len(want)}
    assert population(snapshot, query, at(100)[0].value).tolist() == table.entity.tolist()
    table.save(tmp_path / "p.parquet")
    again = PredictionTable.load(tmp_path / "p.parquet", snapshot, relations, query)
    assert again.to_arrow().equals(table.to_arrow())


def test_anchors_to_predict_at(tmp_path: Path) -> None:
    where = opened(daily(), tmp_path, COUNT + " WHERE COUNT(orders.*, -20, 0) >= 0")
    future = make_prediction_table(*where, datetime(2031, 1, 1, tzinfo=UTC))
    assert future.anchor_text == "2031-01-01T00:00:00Z"
    assert len(make_prediction_table(*where, datetime(2023, 1, 21, tzinfo=UTC))) == 4
    with pytest.raises(TaskError, match="before 2023-01-21") as caught:
        make_prediction_table(*where, datetime(2023, 1, 20, tzinfo=UTC))
    assert caught.value.code == "task.anchor_too_early"


def test_named_keys_are_the_ones_scored(tmp_path: Path) -> None:
    where = opened(
        daily(), tmp_path, COUNT.replace("FOR EACH customers.id", "FOR customers.id IN (3, 1)")
    )
    assert make_prediction_table(*where).keys().to_pylist() == [1, 3]
    assert len(make_training_table(*where)) == 36
    where = opened(
        daily(), tmp_path, COUNT.replace("FOR EACH customers.id", "FOR customers.id = 9")
    )
    with pytest.raises(TaskError) as caught:
        make_prediction_table(*where)
    assert caught.value.code == "task.unknown_entity"


def test_static_queries_predict_the_empty_targets(tmp_path: Path) -> None:
    age = [None if i % 4 == 0 else float(i) for i in range(40)]
    world = people(age=age)
    where = opened(world, tmp_path, "PREDICT people.age FOR EACH people.id WHERE people.plan = 'a'")
    table = make_prediction_table(*where)
    frame = world.tables["people"].rows
    assert table.keys().to_pylist() == frame.id[frame.age.isna() & (frame.plan == "a")].tolist()
    assert table.anchor is None
    assert table.anchor_text is None
    where = opened(people(), tmp_path, "PREDICT people.age FOR EACH people.id")
    with pytest.raises(TaskError, match="40: target is known") as caught:
        make_prediction_table(*where)
    assert caught.value.code == "task.no_rows"


def test_rows_of_ones_own_to_score_keep_their_order(tmp_path: Path) -> None:
    where = opened(daily(), tmp_path, COUNT)
    rows = pa.table({"ENTITY": [2, 0, 2, 55], "TIMESTAMP": [str(t) for t in at(9, 50, 3, 4)]})
    table = prediction_table_from_rows(*where, rows, allow_unmatched=True)
    assert table.keys().to_pylist() == [2, 0, 2]
    assert table.anchor.tolist() == [t.value for t in at(9, 50, 3)]
    assert table.dropped == {"ENTITY is no key of the entity table": 1}
    with pytest.raises(TaskError, match="1 of 4 rows"):
        prediction_table_from_rows(*where, rows)


def test_living_entities_only(tmp_path: Path) -> None:
    """since <= a, and the end is missing or later than a."""
    world = daily()
    t = world.tables["customers"]
    t.columns |= {"since": "time", "until": "time"}
    t.rows["since"] = at(0, 50, 50.001, 0)
    t.rows["until"] = [None, None, None, at(70)[0]]
    t.time, t.end = "since", "until"
    snapshot, _relations, query = opened(world, tmp_path, COUNT)
    assert population(snapshot, query, at(50)[0].value).tolist() == [0, 1, 3]
    assert population(snapshot, query, at(69.999)[0].value).tolist() == [0, 1, 2, 3]
    assert population(snapshot, query, at(70)[0].value).tolist() == [0, 1, 2]


def test_ended_rows_are_not_counted_looking_back_and_are_looking_forward(tmp_path: Path) -> None:
    subscriptions = pd.DataFrame(
        {"id": range(6), "user": [1, 1, 2, 3, 1, 2], "began": at(0, 10, 10, 20, 60, 100),
         "ended": [at(30)[0], None, at(40)[0], at(90)[0], at(61)[0], None]}
    )  # fmt: skip
    world = World(
        {"users": WorldTable({"id": "key"}, pd.DataFrame({"id": [1, 2, 3]}), "id"),
         "subs": WorldTable({"id": "key", "user": "key", "began": "time", "ended": "time"},
                            subscriptions, "id", "began", "ended")},
        (Link("subs", "user", "users"),),
    )  # fmt: skip
    text = "PREDICT COUNT(subs.*, 0, 30) FOR EACH users.id WHERE COUNT(subs.*, -INF, 0) > 0"
    snapshot, _relations, query = opened(world, tmp_path, text)
    found, dropped = examples_at(snapshot, query, [at(40)[0].value])
    assert found.entity.tolist() == [0, 2]  # user 2's only subscription ended at day 40
    assert found.target.tolist() == [1.0, 0.0]
    assert dropped == {"WHERE does not hold": 1}


def test_past_windows_of_the_target(tmp_path: Path) -> None:
    text = "PREDICT COUNT(orders.*, 0, 10) FOR EACH customers.id"
    snapshot, _relations, query = opened(daily(), tmp_path, text)
    entity = np.array([3, 0, 1, 1])
    anchor = np.array([t.value for t in at(50, 30, 30, 60)])
    now = evaluate_target(snapshot, query, entity, anchor)
    moved = evaluate_target(snapshot, query, entity, anchor + 10 * 86_400 * 10**9, windows_back=1)
    assert now.tolist() == moved.tolist()
    assert now.sum() > 0
    binary = check(COUNT, snapshot.graph)
    assert evaluate_target(snapshot, binary, entity, anchor).tolist() == (now > 2).tolist()


def test_no_anchors_give_no_examples(tmp_path: Path) -> None:
    snapshot, _relations, query = opened(daily(), tmp_path, COUNT)
    found, dropped = examples_at(snapshot, query, [])
    assert len(found) == 0
    assert dropped == {}


def test_an_inner_filter_that_looks_back_knows_no_later_parent(tmp_path: Path) -> None:
    """Orders from a shop whose row begins at day 50 count for nobody's past before then."""
    world = daily()
    orders = world.tables["orders"]
    orders.columns["shop"] = "key"
    orders.rows["shop"] = 1
    world.tables["shops"] = WorldTable(
        {"shop_id": "key", "size": "number", "opened": "time"},
        pd.DataFrame({"shop_id": [1], "size": [9.0], "opened": at(50)}),
        "shop_id",
        "opened",
    )
    world.links += (Link("orders", "shop", "shops"),)
    count = "COUNT(orders.* WHERE shops.size > 5, -INF, 0)"
    text = f"PREDICT COUNT(orders.* WHERE shops.size > 5, 0, 10) FOR EACH customers.id WHERE {count} > 0"
    snapshot, _relations, query = opened(world, tmp_path, text)
    assert population(snapshot, query, at(49.999)[0].value).tolist() == []
    assert population(snapshot, query, at(50)[0].value).tolist() == [0, 1, 2, 3]
    # Labels are of the world as recorded: what happens next is counted whenever it was known.
    unfiltered = check(text.split(" WHERE COUNT", maxsplit=1)[0], snapshot.graph)
    assert evaluate_target(snapshot, unfiltered, [0, 1, 2, 3], [at(20)[0].value] * 4).sum() == 10
    absent = check(text.replace(count, count.replace("> 5", "IS NULL")), snapshot.graph)
    assert population(snapshot, absent, at(49.999)[0].value).tolist() == [0, 1, 2, 3]
    assert population(snapshot, absent, at(50)[0].value).tolist() == []
