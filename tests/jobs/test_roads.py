"""The roads of each kind of job, end to end through the engine, with stand-in children."""

from __future__ import annotations

import pytest

from relcast.core.errors import Conflict, InvalidRequest, NotFound

TRAINING = ["Ingestion", "Training table", "Training", "Evaluation", "Writing"]


def test_retrain_then_predict(house):
    query = house.query()
    job = house.platform.retrain(query, tags={"why": "test"})
    assert [s.name for s in job.stages] == TRAINING
    done = house.until(job.id)
    assert (done.state, done.error) == ("DONE", None)
    assert done.tags == {"why": "test"}
    assert done.result["metrics"] == {"test": {"mae": 1.5}}
    assert done.result["baselines"] == {"mean": {"test": {"mae": 3.0}}}
    model = house.platform.model(done.result["model_id"])
    assert model.promoted
    assert model.evaluation["model"]["test"]["metrics"]["mae"]["value"] == 1.5
    assert model.lineage["snapshot_id"] == "snapshot-1"
    report = house.platform.model_report(model.id)
    assert report["baselines"]["mean"]
    assert report["holdout"].endswith("holdout.parquet")
    assert house.platform.output_path(job.id, "holdout.parquet").read_text() == "holdout"

    # The table made inside has a record of its own, and the job names it.
    table = house.platform.job(done.config["training_table_job_id"])
    assert (table.kind, table.state, table.result["rows"]) == ("training_table", "DONE", 3)
    assert house.platform.output_path(table.id, "training_table.parquet").read_text() == "rows"

    predicted = house.until(house.platform.predict(query, {"threshold": 0.4}).id)
    assert (predicted.state, predicted.error) == ("DONE", None)
    assert predicted.result["num_entities"] == 3
    assert predicted.result["model_id"] == model.id
    path = house.platform.output_path(predicted.id, "predictions.parquet")
    assert path.read_text() == "predictions"
    assert house.platform.output_path(predicted.id, "reasons.json").exists()
    with pytest.raises(NotFound):
        house.platform.output_path(predicted.id, "../../relcast.db")
    kinds = [e.type for e in house.platform.events(job.id)]
    assert kinds[0] == "state"
    assert {"state", "stage", "report"} <= set(kinds)
    states = [e.payload["state"] for e in house.platform.events(job.id) if e.type == "state"]
    assert states == ["QUEUED", "RUNNING", "DONE"]
    assert not list((house.home / "staging").rglob("*.parquet"))


def test_the_second_model_is_promoted_by_retraining_only(house):
    query = house.query()
    first = house.until(house.platform.submit_training(query).id).result["model_id"]
    second = house.until(house.platform.submit_training(query).id).result["model_id"]
    assert house.platform.query(query).promoted_model_id == first
    third = house.until(house.platform.retrain(query).id).result["model_id"]
    assert [m.id for m in house.platform.models(query)] == [third, second, first]
    assert house.platform.query(query).promoted_model_id == third
    assert house.platform.promote(second).promoted


def test_jobs_wait_for_their_parents(house):
    query = house.query()
    house.wish(ingest={"sleep": 1.0})
    snapshot = house.platform.snapshot_graph(house.platform.query(query).graph_id)
    table = house.platform.submit_training_table(query, snapshot=snapshot.id)
    training = house.platform.submit_training(
        query, training_table_job_id=table.id, snapshot_ref=snapshot.id
    )
    prediction = house.platform.submit_prediction(training.id, snapshot_ref=snapshot.id)
    assert {table.state, training.state, prediction.state} == {"NOT_STARTED"}
    assert prediction.position in {3, 4}  # the ingestion may run already
    assert house.until(prediction.id).state == "DONE"
    assert house.platform.job(training.id).result["training_table_job_id"] == table.id
    assert len(house.runs("ingest")) == 1
    assert house.platform.graph_snapshot(snapshot.id).snapshot_id == "snapshot-1"
    again = house.platform.snapshot_graph(snapshot.graph_id, refresh=False)
    assert again.id == snapshot.id


def test_a_job_fails_with_its_parents_reason(house):
    query = house.query()
    fault = {
        "code": "task.one_class",
        "status": 422,
        "message": "One class.",
        "hint": "More.",
        "faults": [],
    }
    house.wish(training_table={"fault": fault})
    table = house.platform.submit_training_table(query)
    training = house.platform.submit_training(query, training_table_job_id=table.id)
    failed = house.until(training.id)
    assert failed.state == "FAILED"
    assert failed.error["code"] == "task.one_class"
    assert table.id in failed.error["message"]
    assert failed.error["message"].endswith("One class.")
    assert house.platform.job(table.id).error == fault
    assert not house.runs("train")


def test_predicting_without_a_model_is_a_conflict(idle):
    query = idle.query()
    with pytest.raises(Conflict) as caught:
        idle.platform.predict(query)
    assert caught.value.code == "query.no_model"
    training = idle.platform.submit_training(query)
    assert idle.platform.submit_prediction(training.id).parents == (training.id,)


@pytest.mark.parametrize(
    "options",
    [{"threshold": 2}, {"threshold": "x"}, {"num_classes": 0}, {"reasons": True}, {"odd": 1}],
)
def test_bad_prediction_options_are_refused(idle, options):
    training = idle.platform.submit_training(idle.query())
    with pytest.raises(InvalidRequest) as caught:
        idle.platform.submit_prediction(training.id, options=options)
    assert caught.value.code == "prediction.bad_option"


def test_a_changed_query_loses_its_model_and_may_not_promote_it(house):
    query = house.query()
    model = house.until(house.platform.retrain(query).id).result["model_id"]
    house.platform.catalog.queries.update(query, {"text": "PREDICT 1", "promoted_model_id": None})
    with pytest.raises(Conflict) as caught:
        house.platform.promote(model)
    assert caught.value.code == "model.other_query"
