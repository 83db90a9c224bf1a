"""Statistics before any training, over real HTTP: quick, shared, bounded, and gone with the caller."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.server.conftest import SPEND, Shop
from tests.server.test_every_route import assert_problem

ROAD = "/api/v1/training_table_statistics"
BUYS = "PREDICT COUNT(orders.*, 0, 30, days) > 1 FOR EACH customers.customer_id"


@pytest.fixture(scope="module")
def read(shop: Shop, graph_id: str) -> str:
    """The graph, its data read once."""
    made = shop.client.post("/api/v1/graphsnapshots", params={"graph_id": graph_id})
    job = shop.wait(made.json()["id"].partition("@")[2])
    assert job["state"] == "DONE", job
    return graph_id


def ask(shop: Shop, graph_id: str, text: str = BUYS, **more: Any) -> httpx.Response:
    figures = more.pop("figures", "true")
    body = {"query_string": text, "graph_id": graph_id, **more}
    return shop.client.post(ROAD, json=body, params={"figures": figures})


def test_without_data_there_is_a_409_with_the_mend(shop: Shop, read: str) -> None:
    graph = shop.client.post(
        "/api/v1/graphs/from_source", json={"connector_id": "shop", "tables": ["customers"]}
    ).json()["id"]
    text = "PREDICT customers.region FOR EACH customers.customer_id"
    for figures in ("true", "false"):
        body = assert_problem(ask(shop, graph, text, figures=figures), 409)
        assert body["code"] == "snapshot.none"
        assert "graphsnapshots" in body["hint"]


def test_the_figures_are_those_of_the_training_table(
    shop: Shop, read: str, trained: dict[str, Any], query_name: str
) -> None:
    answer = shop.client.get(f"/api/v1/predictive_queries/{query_name}/training_table_statistics")
    assert answer.status_code == 200, answer.text
    found = answer.json()
    table = shop.client.get(f"/api/v1/jobs/{trained['result']['training_table_job_id']}").json()
    assert found["report"] == table["result"]["report"]
    assert found["fault"] is None
    assert found["sample"] == {"entities": 120, "of": 120, "estimated": False}
    assert found["rhythm"].startswith("Every 30 days from 2023-")
    assert found["rhythm"] in found["sentence"]
    assert {a["split"] for a in found["anchors"]} == {"train", "val", "test"}
    assert len(found["anchors"]) == found["anchor_count"]


def test_another_plan_is_tried_and_not_stored(shop: Shop, read: str, query_name: str) -> None:
    road = f"/api/v1/predictive_queries/{query_name}/training_table_statistics"
    before = shop.client.get(f"/api/v1/predictive_queries/{query_name}").json()["plan"]
    weekly = shop.client.post(road, json={"plan": {"timeframe_step": 7}}).json()
    assert weekly["rhythm"].startswith("Each ")
    assert weekly["left_out_anchors"] > 0
    assert shop.client.post(road).json()["anchor_count"] < weekly["anchor_count"]
    assert shop.client.get(f"/api/v1/predictive_queries/{query_name}").json()["plan"] == before
    assert_problem(shop.client.post(road, json={"plan": {"timeframe_stop": 7}}), 422)
    assert_problem(shop.client.post(road, json={"plan": {"split": "Nothing(1)"}}), 422)
    assert_problem(shop.client.post(road, json={"plan": {"start_time": "soon"}}), 422)


def test_without_figures_the_answer_comes_at_once(shop: Shop, read: str) -> None:
    began = time.perf_counter()
    found = ask(shop, read, figures="false").json()
    assert time.perf_counter() - began < 2
    assert found["report"] is None
    assert found["anchor_count"] > 3
    assert found["splits"]["test"]["anchors"] == 1


def test_a_table_that_cannot_be_made_says_what_there_is(shop: Shop, read: str) -> None:
    found = ask(shop, read, BUYS.replace("> 1", "< 100000")).json()
    assert found["fault"]["code"] == "task.one_class"
    assert found["fault"]["hint"]
    assert sum(s["rows"] for s in found["report"]["splits"].values()) > 0
    far = ask(shop, read, BUYS.replace("30", "9000")).json()
    assert far["fault"]["code"] == "task.no_complete_window"
    assert far["anchors"] == []


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "request.invalid"),
        ("(" * 5_000, "pql."),
        ("PREDICT " * 2_000, "pql."),
        ("PREDICT COUNT(orders.*, 0, 99999999999999999999) FOR EACH customers.customer_id", "pql."),
        ("PREDICT COUNT(order.*, 0, 30) FOR EACH customers.customer_id", "pql.unknown_table"),
        ("<script>alert(1)</script>", "pql."),
        ("'; DROP TABLE orders; --", "pql."),
    ],
)  # fmt: skip
def test_hostile_texts_are_told_and_cost_nothing(
    shop: Shop, read: str, text: str, code: str
) -> None:
    began = time.perf_counter()
    answer = ask(shop, read, text)
    assert_problem(answer)
    assert answer.status_code in (413, 422)
    assert answer.json()["code"].startswith(code) or answer.status_code == 422
    assert time.perf_counter() - began < 5


def test_a_crowd_of_anchors_is_refused_at_once(shop: Shop, read: str) -> None:
    began = time.perf_counter()
    found = ask(shop, read, BUYS.replace("30, days", "1, seconds")).json()
    assert found["fault"]["code"] == "task.table_too_large"
    assert time.perf_counter() - began < 20


def test_nobody_reads_without_the_scope_or_the_graph(shop: Shop, read: str) -> None:
    assert_problem(ask(shop, "graph-nothing"), 404)
    assert_problem(shop.client.post(ROAD, json={"query_string": BUYS}), 422)
    assert_problem(
        shop.client.get("/api/v1/predictive_queries/nothing/training_table_statistics"), 404
    )


# -- slow work: a child that sleeps in place of the real one ----------------------------------------


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A child that says who it is and then sleeps for a minute."""
    import sys

    from relcast.jobs import runner

    script = tmp_path / "slow_child.py"
    script.write_text(
        "import os, pathlib, sys, time\n"
        f"pathlib.Path({str(tmp_path)!r}, f'child-{{os.getpid()}}').touch()\n"
        "time.sleep(60)\n"
    )
    monkeypatch.setattr(runner, "COMMAND", (sys.executable, str(script)))
    yield tmp_path
    for pid in children(tmp_path):
        assert not psutil.pid_exists(pid)


def children(place: Path) -> list[int]:
    return [int(p.name.removeprefix("child-")) for p in place.glob("child-*")]


def until(holds: Any, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_equal_askers_share_a_child_which_goes_with_the_last_of_them(
    shop: Shop, read: str, slow: Path
) -> None:
    text = BUYS.replace("> 1", "> 2")
    headers = {"X-API-Key": shop.key}
    body = {"query_string": text, "graph_id": read}

    def wait(seconds: float) -> None:
        with pytest.raises(httpx.TimeoutException):
            httpx.post(shop.url + ROAD, json=body, headers=headers, timeout=seconds)

    askers = [threading.Thread(target=wait, args=(s,)) for s in (4.0, 6.0)]
    for asker in askers:
        asker.start()
    until(lambda: children(slow))
    # Meanwhile everybody else is served as ever.
    for _ in range(10):
        began = time.perf_counter()
        assert shop.client.get("/api/v1/jobs").status_code == 200
        assert ask(shop, read, figures="false").status_code == 200
        assert time.perf_counter() - began < 2
    askers[0].join()
    assert psutil.pid_exists(children(slow)[0]), "the second asker still waits"
    askers[1].join()
    until(lambda: not any(psutil.pid_exists(pid) for pid in children(slow)))
    assert len(children(slow)) == 1


def test_few_run_and_some_wait_and_more_are_refused(
    shop: Shop, read: str, slow: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from relcast.jobs import quick_work

    monkeypatch.setattr(quick_work, "_WAITING", 1)
    asked = [
        shop.platform.begin_statistics(BUYS.replace("> 1", f"> {n}"), read) for n in (11, 12, 13)
    ]
    try:
        body = assert_problem(ask(shop, read, BUYS.replace("> 1", "> 14")), 429)
        assert body["code"] == "statistics.busy"
        until(lambda: len(children(slow)) == 2)
        assert not asked[2].done
    finally:
        for one in asked:
            one.leave()
    until(lambda: all(one.done for one in asked))
    assert len(children(slow)) <= 3


def test_the_time_limit_ends_the_child(
    shop: Shop, read: str, slow: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = shop.platform.quick_work
    monkeypatch.setattr(work, "_settings", replace(shop.platform.settings, statistics_seconds=1))
    body = assert_problem(ask(shop, read, BUYS.replace("> 1", "> 3")), 422)
    assert body["code"] == "statistics.out_of_time"
    assert "RELCAST_STATISTICS_SECONDS" in body["hint"]


def test_an_answer_is_computed_once(shop: Shop, read: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = BUYS.replace("> 1", "> 4")
    first = ask(shop, read, text)
    assert first.status_code == 200
    monkeypatch.setattr("relcast.jobs.quick_work.run_child", None)
    assert ask(shop, read, text).json() == first.json()
    # A newer snapshot of other data is another question.
    assert ask(shop, read, SPEND, figures="false").status_code == 200


def test_ours_check_says_task_sentence_warnings_and_extensions(shop: Shop, read: str) -> None:
    road = "/api/v1/predictive_queries/validate"
    body = {"query_string": BUYS, "graph_id": read}
    plain = shop.client.post(road, json=body).json()
    assert plain["task_type"] == "binary_classification"
    assert plain["extensions"] == []
    assert plain["sentence"]
    mine = {
        **body,
        "query_string": "PREDICT MEDIAN(orders.amount, 0, 30, days) FOR EACH customers.customer_id",
    }
    found = shop.client.post(road, json=mine).json()
    assert [x["code"] for x in found["extensions"]] == ["pql.extension"]
    assert found["extensions"][0]["position"]["line"] == 1
    refused = assert_problem(
        shop.client.post(road, json=mine, params={"compatibility": "kumo"}), 422
    )
    assert refused["code"] == "pql.extension"
    named = {"name": "strict", **mine}
    made = "/api/v1/predictive_queries"
    assert_problem(shop.client.post(made, json=named, params={"compatibility": "kumo"}), 422)
    assert_problem(shop.client.post(road, json=mine, params={"compatibility": "other"}), 422)
    assert shop.client.post(made, json=named).status_code == 200


def test_the_setting_refuses_extensions_everywhere(
    shop: Shop, read: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    strict = replace(shop.platform.settings, pql_compatibility="kumo")
    monkeypatch.setattr(shop.platform, "settings", strict)
    text = "PREDICT MEDIAN(orders.amount, 0, 30, days) FOR EACH customers.customer_id"
    assert assert_problem(ask(shop, read, text), 422)["code"] == "pql.extension"
    assert ask(shop, read, figures="false").status_code == 200
