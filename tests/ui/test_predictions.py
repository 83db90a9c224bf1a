"""The head of a batch prediction, and the options of a new one, by task type."""

from __future__ import annotations

from datetime import datetime

import pytest

from relcast.core.errors import InvalidRequest
from relcast.core.schema import TaskType
from relcast.jobs.previewing import PredictionPreview
from relcast.ui.asked_prediction import fields_of, options_of
from relcast.ui.evaluation import href, why_of
from relcast.ui.predictions import quantiles_of, scored_of

DAY = datetime(2024, 9, 1)  # noqa: DTZ001  # previews hold naive UTC


def preview(columns: tuple[str, ...], rows: list[tuple], each: int) -> PredictionPreview:
    reasons = tuple(({"feature": f"of {row[0]}", "contribution": 1.0},) for row in rows)
    return PredictionPreview(columns, tuple(rows), reasons, each, None)


def test_one_row_is_one_entity_even_where_a_key_comes_twice() -> None:
    columns = ("ENTITY", "TIMESTAMP", "TARGET_PRED", "q_0.1", "q_0.9")
    found = scored_of(preview(columns, [("a", DAY, 1.0, 0.5, 1.5)] * 2, 1))
    assert [(one.key, len(one.rows)) for one in found] == [("a", 1), ("a", 1)]
    assert quantiles_of(columns) == [(0.1, "q_0.1"), (0.9, "q_0.9")]
    assert quantiles_of(("q_9a", "q_0.5")) == [(0.5, "q_0.5")]


def test_items_of_an_entity_stay_together_and_in_order() -> None:
    columns = ("ENTITY", "TIMESTAMP", "CLASS", "SCORE")
    rows = [("a", DAY, 5, 0.9), ("a", DAY, 3, 0.4), ("b", DAY, 3, 0.8), ("b", DAY, 9, 0.1)]
    found = scored_of(preview(columns, rows, 2))
    assert [[row["CLASS"] for row in one.rows] for one in found] == [[5, 3], [3, 9]]
    assert [one.reasons[0]["feature"] for one in found] == ["of a", "of b"]


def test_reasons_are_left_out_where_lists_differ_in_length() -> None:
    columns = ("ENTITY", "CLASS", "SCORE")
    found = scored_of(preview(columns, [("a", 5, 0.9), ("b", 3, 0.8), ("b", 9, 0.1)], 2))
    assert [one.reasons for one in found] == [(), ()]
    assert [one.anchor for one in found] == [None, None]
    single = scored_of(preview(columns, [("a", 5, 0.9), ("b", 3, 0.8), ("b", 9, 0.1)], 1))
    assert [len(one.rows) for one in single] == [1, 2]


def test_steps_of_a_forecast_are_asked_of_their_anchor() -> None:
    columns = ("ENTITY", "TIMESTAMP", "TARGET_PRED", "ANCHOR_TIMESTAMP")
    rows = [("a", datetime(2024, 9 + k, 1), 1.0 + k, DAY) for k in range(3)]  # noqa: DTZ001
    found = scored_of(preview(columns, rows, 3))
    assert len(found) == 1
    assert found[0].anchor_text == "2024-09-01T00:00:00+00:00"
    why = why_of("model-1")
    assert why is not None
    assert why(found[0]) == (
        "/models/model-1/explain?entity=a&anchor=2024-09-01T00%3A00%3A00%2B00%3A00"
    )
    assert why_of(None) is None
    assert href("m", "explain", entity="a&b=c", output="") == "/models/m/explain?entity=a%26b%3Dc"


def test_each_task_type_has_the_options_that_fit_it() -> None:
    wanted = {
        TaskType.BINARY_CLASSIFICATION: {"threshold"},
        TaskType.MULTICLASS_CLASSIFICATION: {"num_classes"},
        TaskType.MULTILABEL_CLASSIFICATION: {"threshold", "num_classes"},
        TaskType.MULTILABEL_RANKING: {"num_classes", "items"},
        TaskType.TEMPORAL_LINK_PREDICTION: {"num_classes", "items"},
        TaskType.STATIC_LINK_PREDICTION: {"num_classes", "items"},
        TaskType.REGRESSION: {"levels"},
        TaskType.FORECASTING: {"levels"},
    }
    assert {task: set(fields_of(task)) for task in TaskType} == wanted
    assert fields_of(TaskType.REGRESSION, has_quantiles=False) == {}


def test_options_are_read_as_numbers_and_keys() -> None:
    ranked = {"num_classes": " 4 ", "items": "1, 2,,3 ", "threshold": "0.5"}
    link = TaskType.TEMPORAL_LINK_PREDICTION
    assert options_of(link, ranked, whole_keys=True) == {"num_classes": 4, "items": [1, 2, 3]}
    assert options_of(link, ranked, whole_keys=False)["items"] == ["1", "2", "3"]
    levels = options_of(TaskType.FORECASTING, {"levels": "0.1, .9"}, whole_keys=False)
    assert levels == {"levels": [0.1, 0.9]}
    levels = options_of(TaskType.REGRESSION, {"levels": "0.9, 0.1, .9"}, whole_keys=False)
    assert levels == {"levels": [0.1, 0.9]}  # in the order that models give them
    assert options_of(TaskType.BINARY_CLASSIFICATION, {"threshold": " "}, whole_keys=False) == {}
    with pytest.raises(InvalidRequest) as caught:
        options_of(link, {"items": "x"}, whole_keys=True)
    assert caught.value.code == "prediction.bad_option"
    with pytest.raises(InvalidRequest, match="whole number"):
        options_of(link, {"num_classes": "2.5"}, whole_keys=True)
