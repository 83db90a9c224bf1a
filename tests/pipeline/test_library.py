"""The library as its users use it: the page docs/library.md runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

import relcast
from relcast.core.errors import PqlError, SchemaError, TaskError
from tests import shop

PAGE = Path(__file__).resolve().parents[2] / "docs" / "library.md"
CHURN = (
    "PREDICT COUNT(orders.*, 0, 30, days) = 0 FOR EACH customers.customer_id "
    "WHERE COUNT(orders.*, -90, 0, days) > 0"
)


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shop")
    shop.write(folder / "data")
    return relcast.connect(folder / "data", home=folder / "home").graph(progress=False)


def test_the_page_runs_as_it_stands(tmp_path, monkeypatch, capsys):
    shop.write(tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RELCAST_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RELCAST_THREADS", "1")
    code = "\n".join(re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL))
    exec(compile(code, str(PAGE), "exec"), {})
    shown = capsys.readouterr().out
    assert "binary_classification" in shown
    assert shown.rstrip().endswith("True"), "a reloaded model predicts the same"
    assert Path("churn.csv").stat().st_size > 0


def test_inference_finds_the_schema(graph):
    tables = graph.tables.set_index("table")
    assert tables["primary key"].to_dict() == {
        "customers": "customer_id",
        "orders": "order_id",
        "products": "product_id",
    }
    assert tables.loc["orders", "time column"] == "ordered_at"
    assert sorted(str(link) for link in graph.graph.links) == [
        "orders.customer_id -> customers",
        "orders.product_id -> products",
    ]


@pytest.mark.parametrize(
    ("text", "task"),
    [
        (CHURN, "binary_classification"),
        ("PREDICT SUM(orders.amount, 0, 30, days) FOR EACH customers.customer_id", "regression"),
        ("PREDICT customers.age FOR EACH customers.customer_id", "regression"),
        ("PREDICT customers.country FOR EACH customers.customer_id", "multiclass_classification"),
        ("PREDICT FIRST(orders.product_id, 0, 60, days) FOR EACH customers.customer_id", None),
    ],
)
def test_task_types_fit_and_predict(graph, text, task):
    if task is None:
        with pytest.raises(PqlError):
            graph.query(text)
        return
    model = graph.query(text).fit("debug", progress=False, threads=1)
    assert model.query.task_type.value == task
    assert {"validation", "test"} <= set(model.evaluation.model)
    assert model.evaluation.baselines
    holdout = model.holdout()
    assert {"ENTITY", "TARGET"} <= set(holdout.columns)
    if task == "regression":
        mae = (holdout["TARGET"] - holdout["TARGET_PRED"]).abs().mean()
        assert mae == pytest.approx(model.evaluation.model["test"].value("mae"), rel=1e-9)


def test_churn_is_learned_better_than_the_baselines(graph):
    model = graph.query(CHURN).fit("debug", progress=False, threads=1)
    evaluation = model.evaluation
    best = evaluation.baselines[evaluation.best_baseline]["test"].value("auroc")
    assert evaluation.model["test"].value("auroc") >= best - 0.02
    scored = model.predict(progress=False)
    frame = scored.to_pandas()
    assert list(frame.columns) == ["ENTITY", "TIMESTAMP", "TARGET_PRED", "False_PROB", "True_PROB"]
    assert (frame["False_PROB"] + frame["True_PROB"] - 1).abs().max() < 1e-9
    reasons = scored.reasons(frame["ENTITY"].iloc[0])
    assert len(reasons) == 5
    with pytest.raises(TaskError):
        scored.reasons("nobody")


def test_the_same_seed_gives_the_same_model(graph):
    first = graph.query(CHURN).fit("debug", progress=False, threads=1)
    second = graph.query(CHURN).fit("debug", progress=False, threads=1)
    assert first.metrics.equals(second.metrics)
    assert first.predict(progress=False).to_arrow() == second.predict(progress=False).to_arrow()


def test_errors_name_the_place_and_the_mend(graph):
    with pytest.raises(PqlError) as error:
        graph.query("PREDICT COUNT(order.*, 0, 30, days) FOR EACH customers.customer_id")
    assert error.value.code == "pql.unknown_table"
    assert "orders" in error.value.hint
    with pytest.raises(SchemaError):
        relcast.connect({"a": pd.DataFrame({"x": [1, 1]})}, home=graph.settings.home).graph(
            links=[("a", "x", "a")], progress=False
        )
    with pytest.raises(TaskError) as too_few:
        graph.query("PREDICT COUNT(orders.*, 0, 30, months) FOR EACH customers.customer_id").fit(
            "debug", progress=False
        )
    assert too_few.value.hint
