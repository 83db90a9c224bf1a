"""Labels at a published benchmark's own moments equal its published targets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from relcast.core.schema import Link
from relcast.pql import check
from relcast.tasks import examples_at, make_training_table, training_table_from_rows
from tests.tasks.worlds import World, WorldTable

FOR_EACH = "FOR EACH drivers.driverId"
TASKS = {
    "driver-position": ("position", f"PREDICT AVG(results.positionOrder, 0, 60) {FOR_EACH}"),
    "driver-dnf": (
        "did_not_finish",
        f"PREDICT COUNT(results.* WHERE results.statusId != 1, 0, 30) > 0 {FOR_EACH} "  # noqa: ISC004
        "ASSUMING COUNT(results.*, 0, 30) > 0",
    ),
    "driver-top3": ("qualifying", f"PREDICT MIN(qualifying.position, 0, 30) <= 3 {FOR_EACH}"),
}


def formula_one(root: Path) -> World:
    def read(table: str, *columns: str) -> pd.DataFrame:
        return pd.read_parquet(root / "db" / f"{table}.parquet", columns=list(columns))

    return World(
        {
            "drivers": WorldTable({"driverId": "key"}, read("drivers", "driverId"), "driverId"),
            "results": WorldTable(
                {"resultId": "key", "driverId": "key", "positionOrder": "number",
                 "statusId": "int", "date": "time"},
                read("results", "resultId", "driverId", "positionOrder", "statusId", "date"),
                "resultId", "date",
            ),
            "qualifying": WorldTable(
                {"qualifyId": "key", "driverId": "key", "position": "number", "date": "time"},
                read("qualifying", "qualifyId", "driverId", "position", "date"),
                "qualifyId", "date",
            ),
        },
        (Link("results", "driverId", "drivers"), Link("qualifying", "driverId", "drivers")),
    )  # fmt: skip


@pytest.mark.parametrize("task", TASKS)
def test_targets_equal_the_benchmark(task: str, shared_data: Path, tmp_path: Path) -> None:
    root = shared_data / "rel-f1"
    column, text = TASKS[task]
    snapshot, relations = formula_one(root).open(tmp_path)
    query = check(text, snapshot.graph)
    parts = ("train", "val", "test")
    published = pd.concat(
        [pd.read_parquet(root / "tasks" / task / f"{p}.parquet").assign(SPLIT=p) for p in parts]
    )
    published["date"] = published["date"].astype("datetime64[ns]")
    moments = np.unique(published["date"].to_numpy().astype("int64"))
    found, _ = examples_at(snapshot, query, moments)
    drivers = relations.table("drivers").keys().to_numpy()
    got = pd.Series(found.target, index=[found.anchor, drivers[found.entity]]).sort_index()
    want = pd.Series(
        published[column].to_numpy(dtype=float),
        index=[published["date"].astype("int64"), published["driverId"]],
    ).sort_index()
    assert got.index.equals(want.index)
    assert np.allclose(got.to_numpy(), want.to_numpy(), rtol=1e-12, atol=0)

    rows = published.rename(columns={"date": "TIMESTAMP", "driverId": "ENTITY", column: "TARGET"})
    table = training_table_from_rows(
        snapshot, relations, query, pa.Table.from_pandas(rows, preserve_index=False)
    )
    counts = [table.report.splits[p].target.rows for p in parts]
    assert counts == published.SPLIT.value_counts()[list(parts)].tolist()
    assert table.report.warnings == ()


def test_a_generated_table_of_the_whole_history(shared_data: Path, tmp_path: Path) -> None:
    snapshot, relations = formula_one(shared_data / "rel-f1").open(tmp_path)
    query = check(TASKS["driver-position"][1], snapshot.graph)
    table = make_training_table(snapshot, relations, query)
    assert len(table) > 9000
    assert table.report.empty_anchors > 0  # winters
    assert all(s.target.rows > 0 for s in table.report.splits.values())


def test_links_equal_the_benchmark(shared_data: Path, tmp_path: Path) -> None:
    """In which circuits a driver competes in the following year."""
    root = shared_data / "rel-f1"
    world = formula_one(root)
    races = pd.read_parquet(root / "db" / "races.parquet").set_index("raceId")["circuitId"]
    results = world.tables["results"]
    race = pd.read_parquet(root / "db" / "results.parquet", columns=["raceId"])["raceId"]
    results.columns["circuitId"] = "key"
    results.rows["circuitId"] = race.map(races)
    circuits = pd.read_parquet(root / "db" / "circuits.parquet", columns=["circuitId"])
    world.tables["circuits"] = WorldTable({"circuitId": "key"}, circuits, "circuitId")
    world.links += (Link("results", "circuitId", "circuits"),)
    snapshot, relations = world.open(tmp_path)
    text = f"PREDICT LIST_DISTINCT(results.circuitId, 0, 365) RANK TOP 10 {FOR_EACH}"
    query = check(text, snapshot.graph)

    parts = ("train", "val", "test")
    folder = root / "tasks" / "driver-circuit-compete"
    published = pd.concat([pd.read_parquet(folder / f"{p}.parquet").assign(SPLIT=p) for p in parts])
    published["date"] = published["date"].astype("datetime64[ns]")
    rows = published.rename(
        columns={"date": "TIMESTAMP", "driverId": "ENTITY", "circuitId": "TARGET"}
    )
    table = training_table_from_rows(
        snapshot, relations, query, pa.Table.from_pandas(rows, preserve_index=False)
    )
    assert len(table) == len(published)
    assert [table.report.splits[p].target.rows for p in parts] == [2649, 27, 27]
    found = table.to_arrow()
    given = {(row["ENTITY"], row["TIMESTAMP"]): set(row["TARGET"]) for row in found.to_pylist()}
    moments = np.unique(published["date"].to_numpy().astype("int64"))
    ours, _ = examples_at(snapshot, query, moments)
    drivers = relations.table("drivers").keys().to_numpy()
    keys = relations.table("circuits").keys().to_numpy()
    assert ours.lists is not None
    ends = ours.lists.offsets
    made = {
        (int(drivers[e]), pd.Timestamp(a)): set(keys[ours.lists.values[ends[i] : ends[i + 1]]])
        for i, (e, a) in enumerate(zip(ours.entity, ours.anchor.tolist(), strict=True))
    }
    assert made == given
