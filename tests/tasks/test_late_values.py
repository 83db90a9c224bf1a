"""Labels and populations over values that are known later than their rows."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from relcast.core.delays import Delay
from relcast.core.errors import TaskError
from relcast.pql import check
from relcast.relations import build
from relcast.snapshots import SnapshotStore, TableSpec
from relcast.sources import LocalDirectory
from relcast.tasks import (
    Frame,
    TablePlan,
    evaluate_target,
    frame_of,
    label_wait,
    make_prediction_table,
    make_training_table,
    outline,
    population,
    sketch,
    training_table_from_rows,
)
from relcast.tasks.offsets import to_datetime
from relcast.tasks.warehouse import label_sql

DAY = 86_400 * 10**9
BEGIN = pd.Timestamp("2024-01-01")


def at(day):
    return BEGIN.value + int(day * DAY)


class World:
    """Two shops whose sales of each day are paid for some days later."""

    def __init__(self, tmp_path, paid_after, *, days=60, clients=False, **said):
        folder = tmp_path / "files"
        folder.mkdir(exist_ok=True)
        day = np.tile(np.arange(days), 2)
        sales = pd.DataFrame(
            {
                "id": np.arange(len(day)),
                "shop": np.repeat([1, 2], days),
                "at": BEGIN + pd.to_timedelta(day, unit="D"),
                "amount": np.arange(len(day)) + 1.0,
                "paid": BEGIN + pd.to_timedelta(day + paid_after(day), unit="D"),
                "wait": paid_after(day).astype(float),
                "status": np.where(day % 3 == 0, "open", "done"),
            }
        )
        shops = pd.DataFrame({"id": [1, 2], "grade": ["a", "b"], "graded": [at(20), at(40)]})
        shops["graded"] = pd.to_datetime(shops["graded"])
        sales.to_parquet(folder / "sales.parquet")
        shops.to_parquet(folder / "shops.parquet")
        store = SnapshotStore(tmp_path / "store")
        source = LocalDirectory(folder)
        known = {k: v for k, v in said.items() if k != "shops"}
        self.snapshot = store.combine(
            [
                store.ingest_table(source, "sales", TableSpec("sales", "id", "at", **known)),
                store.ingest_table(
                    source, "shops", TableSpec("shops", "id", None, **said.get("shops", {}))
                ),
            ]
        )
        self.relations = build(self.snapshot)
        self.sales = sales

    def query(self, text):
        return check(text, self.snapshot.graph)

    def table(self, text, **plan):
        return make_training_table(
            self.snapshot, self.relations, self.query(text), TablePlan(**plan)
        )


QUERY = "PREDICT SUM(sales.amount, 0, 5, days) FOR EACH shops.id"
SAID = [
    {"known_at": {"amount": "paid"}},
    {"known_after": {"amount": Delay.of("wait days")}},
    {"known_after": {"amount": Delay.of("3 days")}},
]


@pytest.mark.parametrize("said", SAID, ids=["a time", "a duration", "a constant"])
def test_labels_wait_for_their_values(tmp_path, said):
    world = World(tmp_path, lambda day: 1 + day % 3, **said)
    query = world.query(QUERY)
    assert label_wait(world.relations, query) == 3 * DAY
    frame = frame_of(query, world.relations)
    assert frame == frame_of(query, world.snapshot) == Frame.of(query, 3 * DAY)
    table = world.table(QUERY)
    # The data ends on day 59: the newest window ends on day 56, and is known by day 59.
    anchors = np.unique(table.examples.anchor)
    assert anchors.max() == at(51)
    # No split knows labels of an older one that were not known when its own windows begin.
    low, settled = frame.settled_spans(table.examples.anchor)
    for split in (1, 2):
        older, newer = table.examples.split < split, table.examples.split == split
        assert settled[older].max() <= low[newer].min()
    assert sketch(world.snapshot, query).anchors[-1].anchor == at(51)
    assert outline(world.snapshot, world.relations, query).anchors[-1].anchor == at(51)
    naive = World(tmp_path / "files", lambda day: 1 + day % 3)
    assert np.unique(naive.table(QUERY).examples.anchor).max() == at(54)


def test_labels_are_what_finally_became_known(tmp_path):
    world = World(tmp_path, lambda day: 1 + day % 3, known_at={"amount": "paid"})
    rows = world.table(QUERY).to_arrow().to_pylist()
    sales = world.sales
    for row in rows[::7]:
        inside = (sales["shop"] == row["ENTITY"]) & (sales["at"] > row["TIMESTAMP"])
        inside &= sales["at"] <= row["TIMESTAMP"] + pd.Timedelta(days=5)
        assert row["TARGET"] == sales["amount"][inside].sum()


def test_a_wait_moves_no_anchor_to_another_time_of_day(tmp_path):
    world = World(tmp_path, lambda day: 0 * day, known_after={"amount": Delay.of("5 hours")})
    assert np.unique(world.table(QUERY).examples.anchor).max() == at(53)
    hourly = Frame.of(world.query("PREDICT SUM(sales.amount, 0, 48, hours) FOR EACH shops.id"), 1)
    assert hourly.latest_complete(at(59)) == at(57) - DAY // 24


def test_what_takes_longer_than_anything_known_is_no_part_of_a_label(tmp_path):
    """A payment in the year 2200 keeps no label waiting, and is in none."""
    late = np.zeros(60, dtype=np.int64)
    late[10] = 64_000
    world = World(tmp_path, lambda day: late[day] + 2, known_at={"amount": "paid"})
    query = world.query(QUERY)
    assert label_wait(world.relations, query) == 2 * DAY
    found = evaluate_target(world.snapshot, query, [0, 0], [at(8), at(15)])
    days = world.sales[world.sales["shop"] == 1]["amount"].to_numpy()
    assert found.tolist() == [days[[9, 11, 12, 13]].sum(), days[16:21].sum()]


@pytest.mark.parametrize("said", SAID[:2], ids=["a time", "a duration"])
@pytest.mark.parametrize(
    ("where", "counts"),
    [
        ("SUM(sales.amount, -10, 0, days) > 0", lambda s: s["amount"].sum() > 0),
        ("COUNT(sales.amount, -10, 0, days) > 8", lambda s: len(s) > 8),
        ("COUNT(sales.* WHERE sales.amount > 0, -10, 0, days) > 8", lambda s: len(s) > 8),
    ],
)
def test_where_reads_a_value_only_when_it_is_known(tmp_path, said, where, counts):
    world = World(tmp_path, lambda day: 1 + day % 3, **said)
    query = world.query(f"{QUERY} WHERE {where}")
    for day in (3, 12, 30):
        moment = BEGIN + pd.Timedelta(days=day)
        sales = world.sales
        seen = sales[(sales["at"] > moment - pd.Timedelta(days=10)) & (sales["paid"] <= moment)]
        wanted = [k for k in (1, 2) if counts(seen[seen["shop"] == k])]
        found = population(world.snapshot, query, moment.value)
        assert [int(r) + 1 for r in found] == wanted


def test_where_on_the_entity_itself_waits_too(tmp_path):
    world = World(tmp_path, lambda day: 0 * day, shops={"known_at": {"grade": "graded"}})
    for text, days in (
        ("shops.grade = 'a'", {10: [], 20: [0], 50: [0]}),
        ("shops.grade IS NULL", {10: [0, 1], 20: [1], 50: []}),
        ("NOT shops.grade = 'b'", {10: [0, 1], 20: [0, 1], 50: [0]}),
        ("shops.graded IS NULL", {10: [0, 1], 20: [1], 50: []}),
    ):
        query = world.query(f"{QUERY} WHERE {text}")
        table = world.table(query.text, timeframe_step=10, end_time="2024-02-20")
        for day, wanted in days.items():
            assert population(world.snapshot, query, at(day)).tolist() == wanted, text
            here = table.examples.anchor == at(day)
            assert table.examples.entity[here].tolist() == wanted or day not in (20, 50)


def test_a_window_moved_into_the_past_is_read_as_of_the_anchor(tmp_path):
    world = World(tmp_path, lambda day: 1 + day % 3, known_at={"amount": "paid"})
    query = world.query(QUERY)
    found = evaluate_target(world.snapshot, query, [0, 1], [at(30), at(30)], windows_back=1)
    sales = world.sales
    moment = BEGIN + pd.Timedelta(days=30)
    seen = sales[(sales["at"] > moment - pd.Timedelta(days=5)) & (sales["paid"] <= moment)]
    assert 0 < len(seen) < 10
    assert found.tolist() == [seen["amount"][seen["shop"] == k].sum() for k in (1, 2)]


def test_what_is_not_known_yet_changes_no_population(tmp_path):
    where = "SUM(sales.amount, -10, 0, days) > 900"
    said = []
    for number, factor in enumerate((1.0, 1e6)):
        folder = tmp_path / str(number)
        folder.mkdir()
        world = World(folder, lambda day: 1 + day % 3)
        late = world.sales["paid"] > BEGIN + pd.Timedelta(days=30)
        world.sales.loc[late, "amount"] *= factor
        world.sales.to_parquet(folder / "files" / "sales.parquet")
        store = SnapshotStore(folder / "other")
        source = LocalDirectory(folder / "files")
        tables = []
        for known in ({"amount": "paid"}, {}):
            spec = TableSpec("sales", "id", "at", known_at=known)
            copies = [
                store.ingest_table(source, "sales", spec),
                store.ingest_table(source, "shops", TableSpec("shops", "id", None)),
            ]
            snapshot = store.combine(copies)
            query = check(f"{QUERY} WHERE {where}", snapshot.graph)
            tables.append(population(snapshot, query, at(30)).tolist())
        said.append(tables)
    assert said[0][0] == said[1][0]
    assert said[0][1] != said[1][1]  # without known_at the future is there to be seen


def test_mutable_columns_decide_no_population_of_the_past(tmp_path):
    world = World(tmp_path, lambda day: 0 * day, mutable=("status",))
    text = f"{QUERY} WHERE COUNT(sales.* WHERE sales.status = 'open', -9, 0, days) > 0"
    with pytest.raises(TaskError) as error:
        world.table(text)
    assert error.value.code == "task.mutable_condition"
    assert "sales.status" in error.value.message
    found = outline(world.snapshot, world.relations, world.query(text))
    assert found.fault is not None
    assert found.fault.code == "task.mutable_condition"
    assert len(world.table(text, allow_mutable=True)) > 0
    assert len(make_prediction_table(world.snapshot, world.relations, world.query(text))) == 2


def test_rows_of_ones_own_keep_labels_apart_as_well(tmp_path):
    world = World(tmp_path, lambda day: 3 + 0 * day, known_at={"amount": "paid"})
    table = world.table(QUERY)
    rows = table.to_arrow()
    query = world.query(QUERY)
    again = training_table_from_rows(world.snapshot, world.relations, query, rows)
    assert not [w for w in again.report.warnings if "overlap" in w]
    near = {20: "train", 25: "val", 30: "test"}
    rows = pd.DataFrame(
        [
            {"ENTITY": e, "TIMESTAMP": to_datetime(at(d)), "TARGET": float(d), "SPLIT": s}
            for d, s in near.items()
            for e in (1, 2)
        ]
    )
    own = training_table_from_rows(
        world.snapshot, world.relations, query, pa.Table.from_pandas(rows)
    )
    assert [w for w in own.report.warnings if "overlap" in w]


def test_a_warehouse_says_that_it_cannot_wait(tmp_path):
    world = World(tmp_path, lambda day: 0 * day, known_at={"amount": "paid"})
    graph = world.snapshot.graph
    with pytest.raises(TaskError) as error:
        label_sql(world.query(QUERY), graph, [at(30)], dialect="duckdb")
    assert error.value.code == "task.dialect_cannot_know"
    count = world.query("PREDICT COUNT(sales.*, 0, 5, days) FOR EACH shops.id")
    assert label_sql(count, graph, [at(30)], dialect="duckdb")
