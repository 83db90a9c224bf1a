"""Tables, models and predictions of every task type through the unchanged SDK ``kumoai`` 2.22.0."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.contract.sdk_server import CUSTOMERS, environment, serve, write_shop

WALK = Path(__file__).with_name("sdk_tables.py")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the walk found; it is made once."""
    root = tmp_path_factory.mktemp("tables")
    write_shop(root / "data")
    rng = np.random.default_rng(3)
    orders = pd.read_parquet(root / "data" / "orders.parquet")
    orders["product_id"] = rng.integers(1, 13, len(orders))
    orders["kind"] = np.array(["food", "book", "toy"])[orders["product_id"] % 3]
    orders.to_parquet(root / "data" / "orders.parquet", index=False)
    products = pd.DataFrame({"product_id": range(1, 13), "price": rng.gamma(2, 9, 12).round(2)})
    products.to_parquet(root / "data" / "products.parquet", index=False)
    customers = pd.read_parquet(root / "data" / "customers.parquet")
    known = rng.choice(["new", "old"], CUSTOMERS)
    customers["segment"] = np.where(rng.random(CUSTOMERS) < 0.2, None, known)
    customers.to_parquet(root / "data" / "customers.parquet", index=False)
    with serve(root / "home", root / "data") as (url, key):
        done = subprocess.run(
            [sys.executable, str(WALK), f"{url}/api", key, str(root / "data")],
            capture_output=True,
            text=True,
            timeout=900,
            env=environment(),
            check=False,
        )
    lines = [x for x in done.stdout.splitlines() if x.startswith("FOUND ")]
    assert lines, f"the SDK's script failed:\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}"
    return json.loads(lines[0].removeprefix("FOUND "))


@pytest.mark.parametrize(
    ("name", "task", "split", "step"),
    [
        ("links", "temporal_link_prediction", "DateOffsetSplit([-30, 0], 'days')", "30"),
        ("multilabel", "multilabel_classification", "ApproxDateOffsetSplit([0.8, 0.1, 0.1])", "30"),
        ("ranking", "multilabel_ranking", "ApproxDateOffsetSplit([0.8, 0.1, 0.1])", "30"),
        ("forecast", "forecasting", "DateOffsetSplit([-50, -20], 'days')", "10"),
        ("planned", "regression", "ApproxDateOffsetSplit([0.8, 0.1, 0.1])", "10"),
        ("classes", "multiclass_classification", "ApproxDateOffsetSplit([0.8, 0.1, 0.1])", "30"),
        ("static", "binary_classification", "TemporalSplit([0.8, 0.1, 0.1])", None),
    ],
)
def test_the_plan_that_nobody_touched(found, name, task, split, step):
    assert found[name]["task"] == task
    assert found[name]["plan"]["split"] == split
    assert found[name]["plan"].get("timeframe_step") == step
    assert found[name]["plan"].get("forecast_length") == ("3" if name == "forecast" else None)


def test_every_table_is_a_frame_with_three_splits(found):
    for name in ("links", "multilabel", "ranking", "forecast", "planned", "classes"):
        assert found[name]["columns"] == ["ENTITY", "TIMESTAMP", "TARGET", "SPLIT"]
        assert set(found[name]["splits"]) == {"train", "val", "test"}
        assert found[name]["scored"] == CUSTOMERS
    assert found["static"]["columns"] == ["ENTITY", "TARGET", "SPLIT"]
    assert 0 < found["static"]["scored"] < CUSTOMERS / 2, "those without a segment"


def test_targets_have_the_form_of_their_task(found):
    assert set(found["links"]["target"]) <= set(range(1, 13))
    assert set(found["multilabel"]["target"]) <= {"food", "book", "toy"}
    assert found["forecast"]["lengths"] == [3]
    assert found["planned"]["lengths"] == [2]
    assert found["classes"]["target"] in ("food", "book", "toy")
    assert found["static"]["target"] in ("new", "old")


def test_options_of_the_plan_are_heeded_and_kept(found):
    assert found["planned"]["kept"]["forecast_length"] == "2"
    assert found["ranking"]["kept"]["split"] == "DateOffsetSplit([-60, -30])"
    gaps = pd.Series(pd.to_datetime(found["ranking"]["anchors"])).diff().dropna().dt.days
    assert (gaps % 10 == 0).all()
    assert min(found["classes"]["anchors"]) >= "2023-04-15"


def test_a_weighted_table_is_trained_on(found):
    weighted = found["weighted"]
    assert "WEIGHT" in weighted["columns"]
    assert weighted["rows"][0] == weighted["rows"][1]
    assert weighted["same"] is True
    assert weighted["auroc"] > 0.5


def test_modified_tables_that_do_not_fit_are_told(found):
    short, words, less = found["faults"]
    assert "rows" in short
    assert "importance" in words
    assert "TARGET" in less


_RANKED = ["ENTITY", "TIMESTAMP", "CLASS", "SCORE"]
_FORECAST = ["ENTITY", "TIMESTAMP", "TARGET_PRED", "ANCHOR_TIMESTAMP"]


@pytest.mark.parametrize(
    ("name", "metric", "columns", "most"),
    [
        ("links", "map@10", _RANKED, 5),
        ("ranking", "map@10", _RANKED, 2),
        ("multilabel", "ap_macro", [*_RANKED, "PREDICTED"], 3),
        ("forecast", "mae", _FORECAST, 3),
        ("planned", "mae", _FORECAST, 2),
    ],
)
def test_every_task_trains_and_predicts(found, name, metric, columns, most):
    model = found[name]["model"]
    assert model["tune_metric"] == metric
    assert np.isfinite(model["metrics"][metric])
    assert model["columns"] == columns
    assert {"ENTITY", "TIMESTAMP", "TARGET"} <= set(model["holdout"])
    assert model["entities"] == CUSTOMERS
    assert model["most"] == most
    assert model["rows"] <= CUSTOMERS * most
