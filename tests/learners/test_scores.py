"""The columns of predictions are those of plan.md."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest

from relcast.core.errors import InvalidRequest
from relcast.core.schema import TaskType
from relcast.learners import Scores, to_output

ROWS = np.arange(3)
ANCHOR = np.full(3, 86_400 * 10**9)


def test_binary() -> None:
    scores = Scores(TaskType.BINARY_CLASSIFICATION, ROWS, ANCHOR, np.array([0.2, 0.5, 0.9]))
    rows = to_output(scores, pa.array(["a", "b", "c"]))
    assert rows.column_names == ["ENTITY", "TIMESTAMP", "TARGET_PRED", "False_PROB", "True_PROB"]
    assert rows["TARGET_PRED"].to_pylist() == [False, True, True]
    assert rows["TIMESTAMP"].type == pa.timestamp("ns")
    assert rows["TIMESTAMP"][0].as_py() == dt.datetime(1970, 1, 2)  # noqa: DTZ001
    total = np.add(rows["False_PROB"].to_numpy(), rows["True_PROB"].to_numpy())
    assert total == pytest.approx(1)
    strict = to_output(scores, ["a", "b", "c"], threshold=0.8)
    assert strict["TARGET_PRED"].to_pylist() == [False, False, True]


def test_regression_and_static() -> None:
    scores = Scores(TaskType.REGRESSION, ROWS, None, np.array([1.5, -2.0, 0.0]))
    rows = to_output(scores, pa.array([7, 8, 9]))
    assert rows.column_names == ["ENTITY", "TARGET_PRED"]
    assert rows["ENTITY"].type == pa.int64()


def test_multiclass_is_a_row_per_class_best_first() -> None:
    values = np.array([[0.2, 0.5, 0.3], [0.4, 0.4, 0.2], [0.1, 0.1, 0.8]])
    scores = Scores(
        TaskType.MULTICLASS_CLASSIFICATION, ROWS, ANCHOR, values, ("red", "green", "blue")
    )
    rows = to_output(scores, pa.array([1, 2, 3]))
    assert rows.column_names == ["ENTITY", "TIMESTAMP", "CLASS", "SCORE", "PREDICTED"]
    assert rows["ENTITY"].to_pylist() == [1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert rows["CLASS"].to_pylist()[:6] == ["green", "blue", "red", "red", "green", "blue"]
    assert rows["PREDICTED"].to_pylist() == [True, False, False] * 3
    best = to_output(scores, pa.array([1, 2, 3]), num_classes=1)
    assert best["CLASS"].to_pylist() == ["green", "red", "blue"]
    assert to_output(scores, pa.array([1, 2, 3]), num_classes=99).num_rows == 9


def test_no_rows_keep_their_columns() -> None:
    none = np.zeros(0, np.int64)
    scores = Scores(TaskType.MULTICLASS_CLASSIFICATION, none, none, np.zeros((0, 2)), ("a", "b"))
    rows = to_output(scores, pa.array([], pa.string()))
    assert rows.num_rows == 0
    assert rows.column_names == ["ENTITY", "TIMESTAMP", "CLASS", "SCORE", "PREDICTED"]


def test_options_out_of_range_are_refused() -> None:
    scores = Scores(TaskType.BINARY_CLASSIFICATION, ROWS, ANCHOR, np.zeros(3))
    for options, code in (
        ({"threshold": 1.2}, "predict.bad_threshold"),
        ({"threshold": float("nan")}, "predict.bad_threshold"),
        ({"num_classes": 0}, "predict.bad_num_classes"),
    ):
        with pytest.raises(InvalidRequest) as caught:
            to_output(scores, ["a", "b", "c"], **options)
        assert caught.value.code == code
