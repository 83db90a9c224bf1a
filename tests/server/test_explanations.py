"""Explanations over real HTTP: from the stored model, of any entity, at any anchor."""

from __future__ import annotations

import time
from collections import OrderedDict
from contextlib import suppress
from typing import Any

import psutil
import pytest

from tests.server.conftest import Shop
from tests.server.test_every_route import assert_problem


@pytest.fixture(scope="module")
def road(trained: dict[str, Any]) -> str:
    return f"/api/v1/models/{trained['result']['model_id']}/explanations"


def test_one_entity_is_explained_and_it_adds_up(shop: Shop, road: str) -> None:
    answer = shop.client.post(road, json={"entity": 7})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["entity"] == 7
    assert found["anchor"].endswith("Z")
    total = found["base"] + found["rest"] + sum(r["contribution"] for r in found["reasons"])
    assert total == pytest.approx(found["raw"], rel=1e-6)
    assert found["summary"].startswith("The prediction is ")
    assert found["rows"]
    assert found["rows"][0].keys() == {"table", "link", "time", "cells", "effect"}
    assert all(row["time"] <= found["anchor"] for row in found["rows"])
    again = shop.client.post(road, json={"entity": "7"}).json()
    assert again["prediction"] == found["prediction"]


def test_an_earlier_anchor_sees_less(shop: Shop, road: str) -> None:
    early = shop.client.post(road, json={"entity": 7, "anchor": "2023-04-01", "top": 3}).json()
    assert early["anchor"] == "2023-04-01T00:00:00Z"
    assert len(early["reasons"]) <= 3
    assert all(row["time"] <= early["anchor"] for row in early["rows"])


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"entity": 10**9}, 422, "explain.unknown_entity"),
        ({"entity": 7, "output": "north"}, 422, "explain.output"),
        ({"entity": 7, "anchor": "someday"}, 422, None),
        ({"entity": 7, "top": 0}, 422, None),
        ({"entity": [7]}, 422, None),
        ({"entity": "7" * 5000}, 422, None),
        ({}, 422, None),
    ],
    ids=[
        "unknown key",
        "no such output",
        "no time",
        "no reasons",
        "no key",
        "too long a key",
        "nothing",
    ],
)
def test_what_cannot_be_explained_is_said(
    shop: Shop, road: str, body: dict[str, Any], status: int, code: str | None
) -> None:
    problem = assert_problem(shop.client.post(road, json=body), status)
    if code is not None:
        assert problem["code"] == code


def test_one_process_answers_and_answers_as_a_fresh_one_does(
    shop: Shop, road: str, trained: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second question costs no process; no answer depends on what was asked before."""
    explained = [shop.client.post(road, json={"entity": n, "top": 5}).json() for n in (3, 4)]
    [process] = warm_processes(shop)
    began = time.perf_counter()
    third = shop.client.post(road, json={"entity": 5, "top": 5})
    assert third.status_code == 200
    assert time.perf_counter() - began < 2
    assert warm_processes(shop) == [process]
    shop.platform.quick_work._warm.end()
    assert warm_processes(shop) == []
    monkeypatch.setattr(shop.platform.quick_work, "_kept", OrderedDict())
    again = [shop.client.post(road, json={"entity": n, "top": 5}).json() for n in (4, 3)]
    assert again == explained[::-1]
    assert warm_processes(shop) != [process]


def warm_processes(shop: Shop) -> list[int]:
    """Return the processes that stay for the next explanation, without their guards."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            here = str(shop.platform.settings.home) in process.environ().get("TMPDIR", "")
            if here and "relcast.jobs.warm_child" in process.cmdline() and not process.children():
                found.append(process.pid)
    return found


def test_a_model_that_there_is_not(shop: Shop) -> None:
    answer = shop.client.post("/api/v1/models/model-nothing/explanations", json={"entity": 7})
    assert assert_problem(answer, 404)["code"] == "model.not_found"


def test_a_list_of_models_is_brief_and_a_model_is_whole(
    shop: Shop, trained: dict[str, Any]
) -> None:
    model_id = trained["result"]["model_id"]
    listed = shop.client.get("/api/v1/models").json()["items"]
    [brief] = [each for each in listed if each["id"] == model_id]
    page = shop.client.get("/api/v1/models", params={"limit": 1}).json()
    assert [each["id"] for each in page["items"]] == [listed[0]["id"]]
    assert (page["cursor"] is None) is (len(listed) == 1)
    for bad in ({"limit": 0}, {"limit": 201}, {"cursor": "x"}):
        assert_problem(shop.client.get("/api/v1/models", params=bad), 422)
    whole = shop.client.get(f"/api/v1/models/{model_id}").json()
    assert whole["evaluation"]["curves"]
    assert {"curves", "cohorts", "importance", "leaderboard"} <= set(whole["evaluation"])
    assert not {"curves", "cohorts", "importance", "leaderboard"} & set(brief["evaluation"])
    assert brief["evaluation"]["model"] == whole["evaluation"]["model"]
