"""Jobs over the real rooms: sources, snapshots, tasks, learners, outputs, in real child processes."""

from __future__ import annotations

import shutil
import statistics
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from relcast.core.errors import PqlError, SourceError
from relcast.core.settings import Settings
from relcast.jobs import Platform

from .conftest import until

TEXT = "PREDICT SUM(orders.price, 0, 30, days) FOR EACH customers.id"
PLAN = {"model": {"run_mode": "debug"}}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A year of orders whose customers differ in how much they buy."""
    folder = tmp_path_factory.mktemp("shop")
    random = np.random.default_rng(7)
    customers, orders = 120, 5_000
    weight = random.gamma(1.0, 1.0, customers)
    owner = random.choice(customers, orders, p=weight / weight.sum())
    seconds = np.sort(random.uniform(0, 400 * 86_400, orders))
    pd.DataFrame(
        {"id": np.arange(customers), "region": random.choice(list("abc"), customers)}
    ).to_parquet(folder / "customers.parquet")
    pd.DataFrame(
        {
            "order_id": np.arange(orders),
            "customer_id": owner,
            "at": pd.Timestamp("2023-01-01") + pd.to_timedelta(seconds, unit="s"),
            "price": random.gamma(2, 10, orders) * (1 + weight[owner]),
        }
    ).to_parquet(folder / "orders.parquet")
    return folder


@pytest.fixture(scope="module")
def platform(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    home = tmp_path_factory.mktemp("home")
    settings = Settings.load(home, {"RELCAST_DATA_ROOTS": str(data.parent)})
    opened = Platform.open(replace(settings, threads=1))
    opened.start(worker=True)
    graph = opened.graph_from_source("local", root=data, name="shop")
    opened.create_query("spend", TEXT, graph.id, plan=PLAN)
    yield opened
    opened.stop()


def test_a_graph_is_inferred_with_reasons_and_read_from_a_connector(platform, data):
    graph = platform.graph("shop")
    assert [str(link) for link in graph.graph.links] == ["orders.customer_id -> customers"]
    assert graph.graph.table("orders").time_column == "at"
    assert graph.reasons["tables"]["orders"]["time_column"]
    assert graph.reasons["links"][0]["reason"]
    (connector,) = platform.connectors()
    assert connector.root == str(data)
    assert platform.source(connector.id).list_tables() == ["customers", "orders"]
    # The same folder again is the same connector and the same graph.
    assert platform.graph_from_source("local", root=data).id == graph.id
    with pytest.raises(SourceError) as caught:
        platform.graph_from_source("local", root="/etc")
    assert caught.value.code == "source.outside_roots"


def test_retrain_predict_retrain(platform):
    """One walk: the second round finds the same snapshot and the same numbers."""
    first = platform.retrain("spend")
    slow = []
    while not platform.job(first.id).state.is_terminal:
        began = time.perf_counter()
        platform.job(first.id)
        platform.latest("spend", "training")
        slow.append(time.perf_counter() - began)
        time.sleep(0.02)
    done = platform.job(first.id)
    assert (done.state, done.error) == ("DONE", None)
    assert statistics.median(slow) < 0.05
    assert {s.state for s in done.stages} == {"DONE"}
    assert done.result["metrics"]["test"]["mae"] > 0
    began = time.perf_counter()
    report = platform.model_report(done.result["model_id"])
    assert time.perf_counter() - began < 0.5
    assert report["baselines"]
    assert report["importance"]
    assert pq.read_table(report["holdout"]).num_rows > 0
    model = platform.model(done.result["model_id"])
    assert model.lineage["snapshot_id"] == done.result["snapshot_id"]

    predicted = until(platform, platform.predict("spend").id, seconds=90)
    assert (predicted.state, predicted.error) == ("DONE", None)
    rows = pq.read_table(platform.output_path(predicted.id, "predictions.parquet"))
    assert rows.num_rows == predicted.result["num_entities"] == 120
    assert rows.column_names == list(predicted.result["columns"])
    assert platform.output_path(predicted.id, predicted.result["reasons"]).stat().st_size > 100

    again = until(platform, platform.retrain("spend").id, seconds=90)
    assert again.result["snapshot_id"] == done.result["snapshot_id"]
    assert again.result["metrics"] == done.result["metrics"]
    assert platform.query("spend").promoted_model_id == again.result["model_id"]


def test_a_users_fault_comes_through_the_child_with_code_and_hint(platform):
    graph = platform.graph("shop").id
    platform.create_query(
        "never",
        "PREDICT SUM(orders.price, 0, 30, days) < -5 FOR EACH customers.id",
        graph,
        plan=PLAN,
    )
    failed = until(platform, platform.retrain("never").id, seconds=60)
    assert failed.state == "FAILED"
    assert failed.error["status"] == 422
    assert failed.error["code"].startswith("task.")
    assert failed.error["hint"]


def test_a_query_is_checked_when_it_is_saved_and_when_it_is_run(platform):
    graph = platform.graph("shop").id
    with pytest.raises(PqlError) as caught:
        platform.create_query("bad", TEXT.replace("price", "prize"), graph)
    assert caught.value.faults[0].position is not None
    months = TEXT.replace(" FOR EACH", " FORECAST 3 TIMEFRAMES FOR EACH")
    platform.create_query("months", months, graph, plan=PLAN)
    done = until(platform, platform.retrain("months").id, seconds=90)
    assert done.state == "DONE", done.error
    predicted = until(platform, platform.submit_prediction("months").id, seconds=60)
    assert predicted.state == "DONE", predicted.error
    rows = pq.read_table(platform.output_path(predicted.id, "predictions.parquet"))
    assert rows.column_names == ["ENTITY", "TIMESTAMP", "TARGET_PRED", "ANCHOR_TIMESTAMP"]
    assert rows.num_rows == 3 * predicted.result["num_entities"]


def test_a_broken_source_fails_the_job_and_not_the_service(platform, tmp_path_factory, data):
    folder = data.parent / "broken"
    folder.mkdir()
    for name in ("customers", "orders"):
        (folder / f"{name}.parquet").write_bytes((data / f"{name}.parquet").read_bytes())
    graph = platform.graph_from_source("local", root=folder)
    platform.create_query("broken", TEXT, graph.id, plan=PLAN)
    orders = folder / "orders.parquet"
    orders.write_bytes(orders.read_bytes()[:20_000])
    failed = until(platform, platform.retrain("broken").id, seconds=60)
    assert (failed.state, failed.error["status"]) == ("FAILED", 422)
    assert "orders.parquet" in failed.error["message"]


def test_a_folder_that_went_away_is_the_users_to_mend(platform, data):
    """It ended as a crash of ours, since the folder is looked at before the child starts."""
    folder = data.parent / "going"
    shutil.copytree(data, folder)
    graph = platform.graph_from_source("local", root=folder)
    platform.create_query("going", TEXT, graph.id, plan=PLAN)
    shutil.rmtree(folder)
    failed = until(platform, platform.retrain("going").id, seconds=60)
    assert (failed.state, failed.error["code"]) == ("FAILED", "source.no_directory")
    assert str(folder) in failed.error["message"]
    assert failed.error["hint"]
