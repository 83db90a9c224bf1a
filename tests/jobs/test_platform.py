"""The platform's own promises: names, plans, connectors, keys, idempotency, one worker a process."""

from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import replace

import pytest

import relcast.jobs
from relcast.core.errors import (
    Conflict,
    InvalidRequest,
    NotFound,
    PqlError,
    SchemaError,
    SourceError,
    Unauthorized,
)
from relcast.core.settings import Settings
from relcast.jobs import Platform
from relcast.sources import SourceRef

from .conftest import GRAPH, TEXT, House

UPLOADED = {t: SourceRef("parquet_upload_connector", t) for t in GRAPH.tables}


def test_one_platform_works_in_a_process_and_may_start_again(house, tmp_path):
    other = Platform.open(Settings.load(tmp_path / "other", {}))
    with pytest.raises(Conflict) as caught:
        other.start(worker=True)
    assert caught.value.code == "jobs.already_started"
    other.start(worker=False)
    assert not other.working
    other.stop()
    house.platform.stop()
    house.platform.stop()
    house.platform.start(worker=True)
    assert house.platform.working
    assert house.until(house.platform.submit_training_table(house.query()).id).state == "DONE"


def test_a_query_is_checked_named_and_planned(idle):
    platform = idle.platform
    graph = platform.create_graph(GRAPH, UPLOADED, "shop")
    query = platform.create_query("spend", TEXT, "shop", plan={"model": {"run_mode": "debug"}})
    assert platform.query("spend").id == query.id
    assert (query.graph_id, query.task_type) == (graph.id, "regression")
    assert query.plan["model"]["run_mode"] == "debug"
    assert platform.validate_query(TEXT, "shop").task_type == "regression"
    for plan in (
        {"odd": {}},
        {"model": {"odd": 1}},
        {"table": {"odd": 1}},
        {"model": {"run_mode": "x"}},
    ):
        with pytest.raises(InvalidRequest):
            platform.create_query("other", TEXT, graph.id, plan=plan)
    for name in ("", " ", "a/b", "x" * 257, "a\nb"):
        with pytest.raises(InvalidRequest) as caught:
            platform.create_query(name, TEXT, graph.id)
        assert caught.value.code == "request.bad_name"
    with pytest.raises(PqlError):
        platform.create_query("other", TEXT.replace("SUM", "SAM"), graph.id)
    with pytest.raises(NotFound):
        platform.create_query("other", TEXT, "graph-404")


def test_changing_a_query_unpromotes_its_model(house):
    query = house.query()
    model = house.until(house.platform.retrain(query).id).result["model_id"]
    platform = house.platform
    assert platform.update_query(query, description="d", name="n").promoted_model_id == model
    changed = platform.update_query(query, text=TEXT.replace("7", "14"))
    assert changed.promoted_model_id is None
    with pytest.raises(Conflict) as caught:
        platform.predict(query)
    assert caught.value.code == "query.no_model"
    with pytest.raises(PqlError):
        platform.update_query(query, text="PREDICT")
    assert platform.query(query).text == changed.text
    platform.update_query(query, text=TEXT)
    assert platform.promote(model).promoted
    assert platform.predict(query).config["model_id"] == model


def test_a_query_with_living_jobs_is_not_deleted(idle):
    query = idle.query()
    job = idle.platform.submit_training_table(query)
    with pytest.raises(Conflict) as caught:
        idle.platform.delete_query(query)
    assert caught.value.code == "query.busy"
    idle.platform.cancel(job.id)
    idle.platform.delete_query(query)
    with pytest.raises(NotFound):
        idle.platform.query(query)
    assert idle.platform.job(job.id).query_id == query


def test_connectors_stay_below_the_data_roots(settings, tmp_path):
    allowed = tmp_path / "data"
    (allowed / "inner").mkdir(parents=True)
    (allowed / "escape").symlink_to("/etc")
    house = House(replace(settings, data_roots=(allowed,)))
    platform = house.platform
    record = platform.create_connector("inner", "file", allowed / "inner")
    assert platform.connector("inner") == record
    assert platform.source("local:inner").list_tables() == []
    for root in ("/etc", allowed / "escape", allowed / ".." / "..", allowed / "inner" / "../../x"):
        with pytest.raises(SourceError) as caught:
            platform.create_connector("x", "file", root)
        assert caught.value.code == "source.outside_roots"
        with pytest.raises(SourceError):
            platform.source("local", root)
    with pytest.raises(SchemaError) as nothing:
        platform.graph_from_source("inner")
    assert nothing.value.code == "graph.no_tables"
    with pytest.raises(Conflict):
        platform.create_connector("parquet_upload_connector", "file", allowed)
    platform.delete_connector("inner")
    with pytest.raises(NotFound):
        platform.source("inner")
    platform.stop()


def test_a_root_that_moved_out_of_reach_is_refused_when_it_is_read(settings, tmp_path):
    allowed = tmp_path / "data"
    (allowed / "inner").mkdir(parents=True)
    house = House(replace(settings, data_roots=(allowed,)))
    house.platform.create_connector("inner", "file", allowed / "inner")
    (allowed / "inner").rmdir()
    (allowed / "inner").symlink_to("/etc")
    with pytest.raises(SourceError) as caught:
        house.platform.source("inner")
    assert caught.value.code == "source.outside_roots"
    house.platform.stop()


def test_a_reset_in_another_process_kills_the_key_here_at_once(idle):
    key = idle.platform.ensure_first_key()
    assert idle.platform.authenticate(key)
    code = (
        "import sys; from relcast.jobs import Platform; from relcast.core.settings import Settings;"
        "print(Platform.open(Settings.load(sys.argv[1], {})).reset_key())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(idle.home)], capture_output=True, text=True, check=True
    )
    with pytest.raises(Unauthorized):
        idle.platform.authenticate(key)
    assert idle.platform.authenticate(done.stdout.strip())


def test_one_idempotency_key_makes_one_job(idle):
    query = idle.query()
    request = ("key", "POST", f"/{query}/retrain", "hash")
    made = []

    def post() -> None:
        try:
            if idle.platform.remember(*request, owner="key-1") is None:
                made.append(idle.platform.retrain(query, idempotency="key", owner="key-1").id)
        except Conflict:
            pass

    threads = [threading.Thread(target=post) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == len(idle.platform.jobs().items) == 1
    # The answer was never written; the job is known all the same.
    assert idle.platform.remember(*request, owner="key-1").job_id == made[0]
    idle.platform.remember_answer("key", 202, {"id": made[0]}, owner="key-1")
    assert idle.platform.remember(*request, owner="key-1").body == {"id": made[0]}


def test_jobs_are_listed_filtered_and_tagged(idle):
    query = idle.query()
    first = idle.platform.submit_training_table(query, tags={"a": "1"})
    second = idle.platform.submit_training(query)
    assert [j.id for j in idle.platform.jobs().items] == [second.id, first.id]
    assert [j.id for j in idle.platform.jobs(kind="training").items] == [second.id]
    assert idle.platform.latest("spend", "training").id == second.id
    assert idle.platform.latest("spend", "prediction") is None
    assert idle.platform.update_tags(first.id, {"a": None, "b": "2"}).tags == {"b": "2"}
    assert [j.id for j in idle.platform.jobs(tags={"b": "2"}).items] == [first.id]
    for bad in ({"kind": "odd"}, {"state": "odd"}):
        with pytest.raises(InvalidRequest) as caught:
            idle.platform.jobs(**bad)
        assert caught.value.code == "request.bad_filter"


def test_a_job_is_not_built_on_one_of_another_kind(idle):
    query = idle.query()
    training = idle.platform.submit_training(query)
    with pytest.raises(InvalidRequest) as caught:
        idle.platform.submit_training(query, training_table_job_id=training.id)
    assert caught.value.code == "job.wrong_kind"
    with pytest.raises(NotFound) as missing:
        idle.platform.submit_training_table(query, snapshot=f"graph-1@{training.id}")
    assert missing.value.code == "snapshot.not_found"
    with pytest.raises(InvalidRequest) as outputs:
        idle.platform.submit_prediction(training.id, outputs=[{"connector": "s3"}])
    assert outputs.value.code == "prediction.bad_output"
    with pytest.raises(Conflict) as early:
        idle.platform.output_path(training.id, "holdout.parquet")
    assert early.value.code == "job.not_done"


def test_the_child_needs_neither_engine_nor_database():
    code = (
        "import sys, relcast.jobs.child;"
        "print(sorted({'dbos', 'sqlalchemy', 'alembic'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    with pytest.raises(AttributeError):
        relcast.jobs.Platfrom  # noqa: B018
