"""The head of a batch prediction: each row with the reasons of its own entity."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from relcast.core.errors import Conflict, InvalidRequest, NotFound
from relcast.jobs.previewing import read_preview
from relcast.outputs import write_reasons, write_table

from .conftest import House

WHEN = datetime.fromisoformat("2024-01-01")


def reason(feature: str) -> list[dict]:
    return [{"feature": feature, "value": 1, "contribution": 0.5}]


def write(folder: Path, entities: list, each: int, keys: list) -> tuple[Path, Path]:
    rows = [entity for entity in entities for _ in range(each)]
    table = pa.table(
        {
            "ENTITY": rows,
            "TIMESTAMP": pa.array([WHEN] * len(rows), pa.timestamp("us")),
            "SCORE": [float(n) for n in range(len(rows))],
        }
    )
    write_table(table, folder / "predictions.parquet")
    write_reasons([reason(f"of {key}") for key in keys], keys, folder / "reasons.json")
    return folder / "predictions.parquet", folder / "reasons.json"


def test_the_same_entity_at_two_anchors_keeps_both_its_reasons(tmp_path):
    """Own rows may name an entity twice; reasons used to be looked up by the entity's text."""
    predictions, reasons = write(tmp_path, [7, 8, 7], 1, ["a", "b", "c"])
    head = read_preview(predictions, reasons, 3, 10)
    assert [r[0]["feature"] for r in head.reasons] == ["of a", "of b", "of c"]
    assert head.rows[0] == (7, WHEN, 0.0)
    assert (head.num_entities, head.rows_per_entity) == (3, 1)


def test_a_multiclass_entity_has_its_reasons_at_each_of_its_rows(tmp_path):
    predictions, reasons = write(tmp_path, ["x", "y", "z"], 4, ["x", "y", "z"])
    head = read_preview(predictions, reasons, 3, 6)
    assert [row[0] for row in head.rows] == ["x"] * 4 + ["y"] * 2
    assert [r[0]["feature"] for r in head.reasons] == ["of x"] * 4 + ["of y"] * 2
    assert head.rows_per_entity == 4


def test_no_rows_and_no_reasons_are_an_empty_head(tmp_path):
    table = pa.table(
        {"ENTITY": pa.array([], pa.int64()), "TARGET_PRED": pa.array([], pa.float64())}
    )
    write_table(table, tmp_path / "predictions.parquet")
    head = read_preview(tmp_path / "predictions.parquet", None, 0, 5)
    assert (head.columns, head.rows, head.reasons) == (("ENTITY", "TARGET_PRED"), (), ())


def test_only_a_finished_prediction_has_a_head(house: House):
    query = house.query()
    training = house.until(house.platform.retrain(query).id)
    with pytest.raises(InvalidRequest) as caught:
        house.platform.prediction_preview(training.id, 5)
    assert caught.value.code == "job.wrong_kind"
    house.wish(predict={"sleep": 60})
    running = house.platform.predict(query)
    with pytest.raises(Conflict) as early:
        house.platform.prediction_preview(running.id, 5)
    assert early.value.code == "job.not_done"
    house.platform.cancel(running.id)
    house.wish()
    done = house.until(house.platform.predict(query).id)
    folder = house.home / "jobs" / done.id
    pq.write_table(pa.table({"ENTITY": [1]}), folder / "predictions.parquet")
    assert house.platform.prediction_preview(done.id, 5).rows == ((1,),)
    (folder / "predictions.parquet").unlink()
    with pytest.raises(NotFound):
        house.platform.prediction_preview(done.id, 5)
