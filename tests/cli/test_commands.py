"""The commands as their users type them: results on standard output, errors with place and mend."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest
from pyarrow import parquet as pq

from relcast import __version__
from tests import shop

CHURN = (
    "PREDICT COUNT(orders.*, 0, 30, days) = 0 FOR EACH customers.customer_id "
    "WHERE COUNT(orders.*, -90, 0, days) > 0"
)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli with space")
    shop.write(folder / "data")
    return folder


def relcast(place, *words, status=0):
    env = {k: v for k, v in os.environ.items() if not k.startswith("RELCAST_")}
    done = subprocess.run(
        [sys.executable, "-m", "relcast.cli", *map(str, words)],
        cwd=place,
        capture_output=True,
        text=True,
        check=False,
        env={**env, "RELCAST_HOME": str(place / "home"), "RELCAST_THREADS": "1", "COLUMNS": "200"},
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done


def test_help_names_every_command(place):
    shown = relcast(place, "--help").stdout
    for command in (
        "serve",
        "worker",
        "keys",
        "ingest",
        "train",
        "predict",
        "explain",
        "query",
        "jobs",
    ):
        assert re.search(rf"\b{command}\b", shown)
    assert relcast(place, "--version").stdout.strip() == __version__


def test_ingest_shows_what_was_found(place):
    shown = relcast(place, "ingest", "data").stdout
    assert "ordered_at" in shown
    assert "orders.customer_id -> customers" in shown
    told = json.loads(relcast(place, "ingest", "data", "--json").stdout)
    assert told["tables"]["customers"]["rows_kept"] == 200
    assert len(told["links"]) == 2


def test_check_train_and_predict(place):
    told = json.loads(relcast(place, "query", "check", "data", CHURN, "--json").stdout)
    assert told["task_type"] == "binary_classification"
    assert told["report"]["rows"] > 500
    assert told["fault"] is None
    shown = relcast(place, "train", "data", CHURN, "--run-mode", "debug", "--out", "m").stdout
    assert "auroc" in shown
    relcast(place, "predict", "m", "data", "--out", "scores.parquet")
    scores = pq.read_table(place / "scores.parquet")
    assert scores.column_names[:3] == ["ENTITY", "TIMESTAMP", "TARGET_PRED"]
    assert scores.num_rows > 50
    first = scores["ENTITY"][0].as_py()
    told = json.loads(relcast(place, "explain", "m", "data", first, "--json").stdout)
    assert told["prediction"] == scores["True_PROB"][0].as_py()
    shown = relcast(place, "explain", "m", "data", first, "--top", "3").stdout
    assert told["summary"].partition(".")[0] in shown
    assert "Rows around it" in shown
    refused = relcast(place, "explain", "m", "data", "nobody", status=1).stderr
    assert "There is no row 'nobody' in 'customers'" in refused
    refused = relcast(place, "predict", "m", "data", "-k", "3", status=1).stderr
    assert "does not rank items" in refused


def test_check_shows_what_the_training_table_would_hold(place):
    shown = relcast(place, "query", "check", "data", CHURN).stdout
    assert "binary_classification" in shown
    assert "Every 30 days from 2023-" in shown
    assert re.search(r"train\s.*│.*% positive", shown)
    assert "WHERE does not hold" in shown
    told = relcast(place, "query", "check", "data", CHURN, "--plan", "timeframe_step=7", "--json")
    weekly = json.loads(told.stdout)
    assert weekly["rhythm"].startswith("Each ")
    assert weekly["left_out_anchors"] > 0
    far = relcast(place, "query", "check", "data", CHURN.replace("30", "200"), "--json", status=1)
    assert json.loads(far.stdout)["fault"]["code"] == json.loads(far.stderr)["code"]
    ours = CHURN + " AND customers.country NOT IN ('DE', 'FR')"
    assert "extension" in relcast(place, "query", "check", "data", ours).stdout
    strict = ["query", "check", "data", ours, "--compatibility", "kumo"]
    assert "pql.extension" in relcast(place, *strict, status=1).stderr


def test_sql_prints_one_statement(place):
    shown = relcast(place, "query", "sql", "data", CHURN, "--dialect", "spark").stdout
    assert "TARGET" in shown
    named = ["--table", "orders=shop.sales", "--anchor", "2023-06-01"]
    told = relcast(place, "query", "sql", "data", CHURN, *named, "--json")
    assert "sales" in json.loads(told.stdout)["sql"]
    wrong = relcast(place, "query", "sql", "data", CHURN, "--dialect", "cobol", status=1)
    assert "task.unknown_dialect" in wrong.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ["query", "check", "data", CHURN.replace("orders", "order")],
            ["line 1", "orders", "pql.unknown_table"],
        ),
        (["query", "check", "data", "PREDCIT 1"], ["line 1, column 1", "PREDICT"]),
        (["query", "check", "data", CHURN, "--plan", "step"], ["--plan", "timeframe_step=7"]),
        (["query", "check", "data", CHURN, "--plan", "step=7"], ["step", "task.invalid_plan"]),
        (["query", "check", "data", CHURN, "--compatibility", "sql"], ["--compatibility kumo"]),
        (["ingest", "nowhere"], ["nowhere"]),
        (["ingest", "data", "--key", "orders"], ["--key", "table.column"]),
        (["ingest", "data", "--link", "a=b"], ["--link", "orders.customer_id=customers"]),
        (["ingest", "data", "--time", "orders.when"], ["when"]),
        (["predict", "nowhere", "data"], ["nowhere"]),
    ],
)
def test_errors_name_the_place_and_the_mend(place, words, told):
    done = relcast(place, *words, status=1)
    assert "Traceback" not in done.stderr
    for text in told:
        assert text in done.stderr
    as_json = json.loads(relcast(place, *words, "--json", status=1).stderr.splitlines()[-1])
    assert as_json["code"]
    assert as_json["status"] < 500


def test_keys_reset_prints_the_key_alone_on_its_last_line(place):
    first = relcast(place, "keys", "reset").stdout.splitlines()[-1]
    second = relcast(place, "keys", "reset").stdout.splitlines()[-1]
    assert re.fullmatch(r"demo:rc_\S{20,}", first)
    assert first != second
    told = json.loads(relcast(place, "keys", "reset", "--json").stdout)
    assert told["api_key"].startswith("demo:rc_")
    assert len(relcast(place, "keys", "password").stdout.splitlines()[-1]) >= 20
