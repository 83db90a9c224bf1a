"""A model on a newer snapshot: the same entities by key, and clear words when types changed."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from relcast.core.errors import ModelError
from relcast.core.schema import Dtype
from tests.learners.worlds import QUICK, REGRESSION, World, make_world, read_shop


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, World]:
    folder = tmp_path_factory.mktemp("trained")
    return folder, make_world(folder, customers=150)


def _copy(trained: tuple[Path, World], folder: Path) -> Path:
    shutil.copytree(trained[0] / "data", folder / "data")
    return folder


def test_rows_in_another_order_and_new_ones_change_no_score(
    trained: tuple[Path, World], tmp_path: Path
) -> None:
    """reliability.md D4 and D1 across snapshots: entities go by key, later rows are not seen."""
    world = trained[1]
    folder = _copy(trained, tmp_path)
    rng = np.random.default_rng(0)
    for file in (folder / "data").glob("*.parquet"):
        rows = pq.read_table(file)
        pq.write_table(rows.take(pa.array(rng.permutation(len(rows)))), file)
    orders = pq.read_table(folder / "data" / "orders.parquet")
    later = orders.slice(0, 50)
    moved = pa.array(np.full(50, np.datetime64("2030-01-01", "s")))
    later = later.set_column(later.column_names.index("at"), "at", moved.cast(orders["at"].type))
    ids = pa.array(np.arange(50) + 10**6)
    later = later.set_column(later.column_names.index("order_id"), "order_id", ids)
    pq.write_table(pa.concat_tables([orders, later]), folder / "data" / "orders.parquet")
    newer = read_shop(folder)
    moment = int(np.median(world.relations.tables["orders"].time))
    for plan in (QUICK, replace(QUICK, num_experiments=0)):
        model = world.fit(REGRESSION, plan)
        keys = world.relations.tables["customers"].keys()
        before = model.predict(world.relations, np.arange(len(keys)), np.full(len(keys), moment))
        rows = newer.relations.tables["customers"].key_index(keys)
        after = model.predict(newer.relations, rows, np.full(len(keys), moment))
        assert before.values.tobytes() == after.values.tobytes()


def test_a_changed_type_names_the_column(trained: tuple[Path, World], tmp_path: Path) -> None:
    model = trained[1].fit(REGRESSION)
    other = read_shop(_copy(trained, tmp_path), age=Dtype.string)
    with pytest.raises(ModelError) as caught:
        model.predict(other.relations, np.arange(3), np.full(3, 1_620_000_000 * 10**9))
    assert caught.value.code == "model.schema_changed"
    assert "customers.age" in caught.value.message
    with pytest.raises(ModelError):
        model.explain(other.relations, np.arange(3), np.full(3, 1_620_000_000 * 10**9))


def test_a_lost_column_or_link_is_named(trained: tuple[Path, World], tmp_path: Path) -> None:
    world = trained[1]
    model = world.fit(REGRESSION)
    graph = world.relations.graph
    anchors = np.full(3, 1_620_000_000 * 10**9)
    unlinked = replace(world.relations, graph=replace(graph, links=graph.links[:1]))
    with pytest.raises(ModelError, match=r"link orders\.product_id -> products is gone"):
        model.predict(unlinked, np.arange(3), anchors)
    orders = graph.tables["orders"]
    fewer = replace(orders, columns=tuple(c for c in orders.columns if c.name != "price"))
    lost = replace(world.relations, graph=replace(graph, tables={**graph.tables, "orders": fewer}))
    with pytest.raises(ModelError, match=r"orders\.price is gone"):
        model.predict(lost, np.arange(3), anchors)
