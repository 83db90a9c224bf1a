"""The library as its users use it: the page docs/library.md runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

import relcast
from relcast.core.errors import PqlError, RelcastError, SchemaError, TaskError
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


def test_the_outline_is_that_of_the_table(graph):
    query = graph.query(CHURN)
    table = query.training_table()
    outline = query.outline()
    assert outline.report == table.report
    assert outline.rhythm in outline.sentence
    frame = query.statistics()
    assert frame["rows"].sum() == table.report.rows
    assert frame.loc[frame["split"] == "test", "positives"].sum() == (
        table.report.splits["test"].target.positives
    )
    assert (frame["labels_until"] > frame["labels_after"]).all()
    quick = query.outline(figures=False, timeframe_step=7)
    assert quick.report is None
    assert quick.rhythm.startswith("Each ")
    static = graph.query("PREDICT customers.age FOR EACH customers.customer_id").statistics()
    assert list(static.index) == ["train", "val", "test"]
    assert static["rows"].sum() == 200


def test_a_plan_makes_a_forecast_of_a_sum(graph):
    query = graph.query("PREDICT SUM(orders.amount, 0, 10, days) FOR EACH customers.customer_id")
    assert query.training_table(forecast_length=3).examples.target.shape[1] == 3
    assert query.outline(forecast_length=3).task_type.value == "forecasting"
    assert query.task_type.value == "regression"


def test_a_table_that_cannot_be_is_a_fault_of_the_outline_and_an_error_of_the_figures(graph):
    query = graph.query("PREDICT COUNT(orders.*, 0, 200, days) > 0 FOR EACH customers.customer_id")
    assert query.outline().fault.hint
    with pytest.raises(TaskError) as error:
        query.statistics()
    assert error.value.code == query.outline().fault.code


def test_a_ranking_names_the_items_that_one_wants(graph):
    text = (
        "PREDICT LIST_DISTINCT(orders.product_id, 0, 30) RANK TOP 3 FOR EACH customers.customer_id"
    )
    model = graph.query(text).fit("debug", progress=False)
    assert "map@10" in model.metrics["test"].columns
    rows = model.predict(progress=False).to_pandas()
    assert list(rows.columns) == ["ENTITY", "TIMESTAMP", "CLASS", "SCORE"]
    assert rows.groupby("ENTITY").size().max() == 3
    some = rows["CLASS"].unique()[:2].tolist()
    chosen = model.predict(k=5, items=some, progress=False)
    assert set(chosen.to_pandas()["CLASS"]) <= set(some)
    assert len(chosen.reasons(rows["ENTITY"][0]))
    with pytest.raises(RelcastError) as error:
        model.predict(items=[10**9], progress=False)
    assert error.value.code == "predict.unknown_item"


def test_a_forecast_that_only_the_table_asks_for(graph):
    query = graph.query("PREDICT SUM(orders.amount, 0, 10) FOR EACH customers.customer_id")
    table = query.training_table(forecast_length=2)
    model = query.fit("debug", table=table, progress=False)
    assert model.fitted.task_type == "forecasting"
    rows = model.predict(progress=False).to_pandas()
    assert (rows.groupby("ENTITY").size() == 2).all()


def test_strict_mode_refuses_what_only_we_have(graph):
    text = "PREDICT MEDIAN(orders.amount, 0, 30) FOR EACH customers.customer_id"
    assert [x.code for x in graph.query(text).checked.extensions] == ["pql.extension"]
    with pytest.raises(PqlError) as error:
        graph.query(text, compatibility="kumo")
    assert error.value.code == "pql.extension"


def test_label_sql_gives_the_rows_of_the_table(graph):
    import duckdb

    query = graph.query(CHURN)
    statement = query.label_sql("duckdb")
    with duckdb.connect() as connection:
        for name, table in graph.snapshot.tables.items():
            connection.read_parquet(str(table.path)).create_view(name)
        found = connection.sql(statement).df()
    table = query.training_table().to_arrow().to_pandas()
    keys = ["ENTITY", "TIMESTAMP"]
    both = table.merge(found, on=keys, suffixes=("", "_sql"))
    assert len(both) == len(table) > 500
    assert (both["TARGET"] == both["TARGET_sql"]).all()
    only = query.label_sql("postgres", anchors=[pd.Timestamp("2023-06-01").to_pydatetime()])
    assert "2023-06-01" in only or "16855776" in only


def test_warnings_of_the_tables_are_told(tmp_path):
    orders = pd.DataFrame({"id": [1, 1, 2], "v": [1.0, 2.0, 3.0]})
    data = relcast.connect({"orders": orders}, home=tmp_path).graph(
        primary_keys={"orders": "id"}, progress=False
    )
    assert any("orders" in w for w in data.warnings)
