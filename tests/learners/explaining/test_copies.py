"""Copies of an entity without some of its rows have the features of a world without these."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from relcast.core.schema import Link
from relcast.learners.explaining.copies import with_copies
from relcast.learners.explaining.nearby import cells_of, moment_text, nearby_rows
from relcast.learners.features import FeatureSet
from relcast.learners.features.spec import Feature
from relcast.pql import check
from tests.learners.worlds import BINARY, DAY, QUERIES, World, read_shop, write_shop

OWNED = Link("orders", "customer_id", "customers")
UNTIL = 1_600_000_000 * 10**9 + 200 * DAY


def busiest(world: World) -> int:
    return int(np.diff(world.relations.link(OWNED).indptr).argmax())


def own_stream(feature: Feature) -> bool:
    """Tell whether a feature reads the entity's own rows, and not everybody's."""
    stream = feature.recipe.stream
    return stream is None or (bool(stream.down) and stream.by is None)


def own_rows(world: World, entity: int) -> np.ndarray:
    link = world.relations.link(OWNED)
    return link.child[int(link.indptr[entity]) : int(link.indptr[entity + 1])].astype(np.int64)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[World, Path]:
    folder = tmp_path_factory.mktemp("copies")
    write_shop(folder / "data", customers=40, days=360, seed=3)
    return read_shop(folder), folder


def test_a_copy_has_the_features_of_a_world_without_its_rows(
    small: tuple[World, Path], tmp_path: Path
) -> None:
    world, folder = small
    entity = busiest(world)
    rows = own_rows(world, entity)
    rng = np.random.default_rng(5)
    left_out = [rows[:0], rows[-1:], rng.choice(rows, 5, replace=False), rows]
    checked = check(BINARY, world.snapshot.graph)
    features = FeatureSet.generate(world.relations, checked, budget=400, until=UNTIL)
    relations, copies = with_copies(
        world.relations, "customers", entity, [{OWNED: part} for part in left_out]
    )
    anchors = np.full(len(copies), UNTIL)
    found = features.compute(relations, copies, anchors).values
    for number, part in enumerate(left_out):
        other = without_owner(folder, tmp_path / str(number), world, part)
        alone = np.array([entity])
        expected = features.compute(other.relations, alone, anchors[:1]).values
        names = [
            f.name
            for f, a, b in zip(features.features, found[number], expected[0], strict=True)
            if not np.array_equal(a, b, equal_nan=True)
            and f.recipe.family != "standing"
            and own_stream(f)
        ]
        assert names == [], names
    assert not np.array_equal(found[0], found[3], equal_nan=True)


def without_owner(folder: Path, to: Path, world: World, rows: np.ndarray) -> World:
    """Copy a shop's data, the owner of some orders set to nothing."""
    (to / "data").mkdir(parents=True)
    for path in (folder / "data").iterdir():
        table = pq.read_table(path)
        if path.stem == "orders":
            keys = world.relations.table("orders").keys().take(pa.array(rows))
            gone = pc.is_in(table["order_id"], value_set=keys)
            owner = pc.if_else(gone, pa.scalar(None, pa.string()), table["customer_id"])
            place = table.column_names.index("customer_id")
            table = table.set_column(place, "customer_id", owner)
        pq.write_table(table, to / "data" / path.name)
    return read_shop(to)


def test_the_arrays_copied_from_stay_as_they_are(small: tuple[World, Path]) -> None:
    world, _ = small
    link = world.relations.link(OWNED)
    before = (link.indptr.copy(), link.child.copy(), link.parent.copy())
    relations, copies = with_copies(world.relations, "customers", 0, [{}, {}])
    assert copies.tolist() == [40, 41]
    assert relations.table("customers").rows == 42
    assert world.relations.table("customers").rows == 40
    for array, was in zip((link.indptr, link.child, link.parent), before, strict=True):
        assert np.array_equal(array, was)
    raw = relations.table("customers").column("segment").raw().to_pylist()
    assert raw[40:] == [raw[0], raw[0]]
    assert relations.table("customers").keys().to_pylist()[40:] == [None, None]


def test_nearby_rows_are_the_newest_known_ones(small: tuple[World, Path]) -> None:
    world, _ = small
    entity = busiest(world)
    time = world.relations.table("orders").time
    assert time is not None
    rows = own_rows(world, entity)
    known = rows[time[rows] <= UNTIL]
    [near] = nearby_rows(world.relations, "customers", entity, UNTIL, most=7)
    assert near.count == len(known) > 7
    assert near.rows.tolist() == known[-7:].tolist()
    cells = cells_of(world.relations.table("orders"), near.rows.tolist())
    keys = world.relations.table("orders").keys().take(pa.array(near.rows)).to_pylist()
    assert [cell["order_id"] for cell in cells] == keys
    assert [cell["at"] for cell in cells] == [moment_text(int(time[row])) for row in near.rows]


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
def test_copies_that_lack_nothing_are_predicted_as_the_entity_is(world: World, query: str) -> None:
    """However many copies there are: they are part of no whole that a feature looks at."""
    model = world.fit(query)
    entity = busiest(world)
    anchor = world.table(query).examples.anchor
    last = None if anchor is None else np.array([anchor.max()])
    relations, copies = with_copies(world.relations, "customers", entity, [{}] * 30)
    before = model.predict(world.relations, np.array([entity]), last).values
    after = model.predict(relations, copies[4:5], last).values
    assert np.array_equal(before, after)
