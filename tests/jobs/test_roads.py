"""The roads of each kind of job, end to end through the engine."""

from __future__ import annotations

import json


def test_retrain_then_predict(house):
    query = house.query()
    job = house.platform.retrain(query, tags={"why": "test"})
    assert [s.name for s in job.stages] == [
        "Ingestion", "Training table", "Training", "Evaluation", "Writing",
    ]
    done = house.until(job.id)
    assert done.state == "DONE", done.error
    print(json.dumps(done.to_json(), indent=1))
    model = house.platform.model(done.result["model_id"])
    assert model.promoted
    assert model.evaluation["model"]["test"]["metrics"]["mae"]["value"] == 1.5
    assert done.result["metrics"] == {"test": {"mae": 1.5}}
    predicted = house.until(house.platform.predict(query).id)
    assert predicted.state == "DONE", predicted.error
