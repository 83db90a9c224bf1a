"""Many classes of many entities are scored in bounded memory, and come out as if at once."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from relcast.core.errors import InvalidRequest
from relcast.core.schema import TaskType
from relcast.learners import FittedModel
from relcast.learners.protocol import Asked
from relcast.learners.score_summary import ScoreSummary
from relcast.learners.scores import Scores, to_output
from relcast.outputs import write_parts
from tests.learners.worlds import MULTICLASS, QUERIES, World

CLASSES = 6_000
ENTITIES = 20_000


class ByHash:
    """A model of 6,000 classes whose scores depend on the entity alone."""

    name = "by hash"

    def __init__(self) -> None:
        self.most = 0

    def predict(self, relations: Any, asked: Asked, *, threads: int) -> np.ndarray:
        self.most = max(self.most, len(asked))
        values = (asked.entity[:, None] * 31 + np.arange(CLASSES)) % 997 + 1.0
        return values / values.sum(axis=1, keepdims=True)


def wide(world: World) -> FittedModel:
    model = world.fit(MULTICLASS)
    target = replace(model.target, classes=tuple(f"class {k}" for k in range(CLASSES)))
    return replace(model, target=target, predictor=ByHash())


def test_six_thousand_classes_of_many_entities_take_bounded_memory(
    world: World, tmp_path: Path
) -> None:
    """All at once they would be 960 MB of numbers, and several times that while sorting."""
    model = wide(world)
    entity = np.arange(ENTITIES) % 50
    anchor = np.array([1_610_000_000 * 10**9])
    summary = ScoreSummary()
    keys = pa.array(entity)

    def outputs() -> Any:
        begin = 0
        for part in model.predict_in_parts(world.relations, entity, anchor):
            summary.add(part)
            yield to_output(part, keys.slice(begin, len(part)), num_classes=3)
            begin += len(part)

    tracemalloc.start()
    rows, columns = write_parts(outputs(), tmp_path / "wide.parquet")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 500 * 2**20
    assert model.predictor.most * CLASSES <= 8_000_000  # type: ignore[union-attr]
    assert rows == 3 * ENTITIES
    table = pq.read_table(tmp_path / "wide.parquet")
    assert tuple(table.column_names) == columns
    assert table.column_names == ["ENTITY", "TIMESTAMP", "CLASS", "SCORE", "PREDICTED"]
    assert table["ENTITY"].to_pylist()[::3] == entity.tolist()
    best = ((entity[:50, None] * 31 + np.arange(CLASSES)) % 997).argmax(axis=1)
    assert table["CLASS"].to_pylist()[:150:3] == [f"class {k}" for k in best]
    said = summary.to_json()
    assert said["rows"] == ENTITIES
    assert sum(said["predicted"].values()) == ENTITIES


@pytest.mark.parametrize("query", ["multiclass", "binary"])
def test_parts_are_the_whole(world: World, query: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from relcast.learners import predicting

    model = world.fit(QUERIES[query])
    entity = np.arange(100)
    anchor = np.array([1_610_000_000 * 10**9])
    whole = model.predict(world.relations, entity, anchor)
    monkeypatch.setattr(predicting, "_CELLS", 7 * model.target.width)
    parts = list(model.predict_in_parts(world.relations, entity, anchor))
    assert [len(part) for part in parts] == [7] * 14 + [2]
    joined = Scores.joined(parts)
    assert np.array_equal(joined.values, whole.values)
    assert np.array_equal(joined.entity, whole.entity)
    assert joined.anchor is not None
    assert whole.anchor is not None
    assert np.array_equal(joined.anchor, whole.anchor)
    summary = ScoreSummary()
    for part in parts:
        summary.add(part)
    assert summary.to_json() == model.score_summary(whole)


def test_of_nobody_there_is_an_empty_table(world: World, tmp_path: Path) -> None:
    model = world.fit(MULTICLASS)
    nobody = np.zeros(0, dtype=np.int64)
    parts = model.predict_in_parts(world.relations, nobody, nobody)
    tables = (to_output(part, pa.array([], pa.string())) for part in parts)
    rows, columns = write_parts(tables, tmp_path / "none.parquet")
    assert rows == 0
    assert columns == ("ENTITY", "TIMESTAMP", "CLASS", "SCORE", "PREDICTED")
    assert pq.read_table(tmp_path / "none.parquet").num_rows == 0
    summary = ScoreSummary()
    summary.add(model.predict(world.relations, nobody, nobody))
    assert summary.to_json() == {"rows": 0}


def test_a_part_that_fails_leaves_no_file(tmp_path: Path) -> None:
    def parts() -> Any:
        yield pa.table({"a": [1]})
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        write_parts(parts(), tmp_path / "half.parquet")
    assert list(tmp_path.iterdir()) == []


def test_what_is_asked_wrongly_is_refused_before_anything_is_scored(world: World) -> None:
    model = wide(world)
    with pytest.raises(InvalidRequest) as refused:
        model.predict_in_parts(world.relations, np.arange(3), np.array([0]), k=3)
    assert refused.value.code == "predict.not_ranked"
    assert model.predictor.most == 0  # type: ignore[union-attr]


def test_items_are_named_by_what_looks_like_their_key(world: World) -> None:
    """A key of whole numbers may come as text, as from a command line; what is none is refused."""
    model = world.fit(QUERIES["regression"])
    ranking = replace(model.target, task_type=TaskType.TEMPORAL_LINK_PREDICTION, items="products")
    model = replace(model, target=ranking)
    keys = world.relations.table("products").keys().to_pylist()
    assert model.item_rows(world.relations, [str(keys[3]), str(keys[1])]).tolist() == [3, 1]
    assert model.item_rows(world.relations, [keys[2], str(keys[1])]).tolist() == [2, 1]
    for unknown in (["x"], [keys[0], "x"], [{}]):
        with pytest.raises(InvalidRequest) as refused:
            model.item_rows(world.relations, unknown)
        assert refused.value.code == "predict.unknown_item"
    classes = replace(model.target, items=None, classes=(1, 2, 5))
    named = replace(model, target=classes)
    assert named.item_rows(world.relations, [5, "2"]).tolist() == [2, 1]


def test_a_learner_that_says_them_in_parts_is_asked_once(world: World) -> None:
    """What it reads of the examples is read for all of them, not for every part."""

    class InParts(ByHash):
        asked = 0

        def predict_parts(self, relations: Any, asked: Asked, *, threads: int) -> Any:
            self.asked += 1
            for begin in range(0, len(asked), 700):
                part = slice(begin, min(begin + 700, len(asked)))
                yield part, self.predict(relations, asked.take(part), threads=threads)

    plain = wide(world)
    model = replace(plain, predictor=InParts())
    entity, anchor = np.arange(2_000) % 50, np.array([1_610_000_000 * 10**9])
    parts = list(model.predict_in_parts(world.relations, entity, anchor))
    assert [len(part) for part in parts] == [700, 700, 600]
    assert model.predictor.asked == 1  # type: ignore[union-attr]
    joined = Scores.joined(parts)
    assert joined.entity.tolist() == entity.tolist()
    assert np.array_equal(joined.values, plain.predict(world.relations, entity, anchor).values)
