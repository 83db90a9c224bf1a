"""Where anchors stand."""

from __future__ import annotations

from datetime import UTC, datetime

import pandas as pd
import pytest

from relcast.core.errors import InvalidRequest, TaskError
from relcast.pql import check
from relcast.tasks import Frame, TablePlan, TimeRange, make_anchors
from relcast.tasks.anchors import ranges_to_anchors
from tests.tasks.worlds import shop

DAY0 = pd.Timestamp("2023-01-01")
GRAPH = shop({"customer": [1], "time": [DAY0]}).graph()
HUNDRED_DAYS = TimeRange(DAY0.value, (DAY0 + pd.Timedelta(days=100)).value)


def days(text: str, data: TimeRange = HUNDRED_DAYS, **plan: object) -> list[int]:
    """Anchors in days since day 0, newest first."""
    found = anchors(text, data, **plan)
    return [(pd.Timestamp(a) - DAY0).days for a in found]


def anchors(text: str, data: TimeRange, **plan: object) -> list[int]:
    frame = Frame.of(check(f"PREDICT {text} FOR EACH customers.id", GRAPH))
    return make_anchors(frame, data, TablePlan(**plan)).tolist()[::-1]  # type: ignore[arg-type]


def dates(found: list[int]) -> list[str]:
    return [str(pd.Timestamp(a).date()) for a in found]


def filtered(text: str, where: str) -> list[int]:
    frame = Frame.of(check(f"PREDICT {text} FOR EACH customers.id WHERE {where}", GRAPH))
    found = make_anchors(frame, HUNDRED_DAYS, TablePlan()).tolist()[::-1]
    return [(pd.Timestamp(a) - DAY0).days for a in found]


def test_the_example_of_the_specification() -> None:
    assert days("COUNT(orders.*, 0, 10, days)") == [90, 80, 70, 60, 50, 40, 30, 20, 10]


def test_the_offsets_of_the_specification() -> None:
    found = days("COUNT(orders.*, 0, 10)", train_start_offset=50, train_end_offset=10)
    assert found == [80, 70, 60, 50]


def test_a_step_of_ones_own() -> None:
    assert days("COUNT(orders.*, 0, 10)", timeframe_step=25) == [90, 65, 40]
    assert days("COUNT(orders.*, 0, 10)", timeframe_step=1)[:3] == [90, 89, 88]
    assert days("COUNT(orders.*, 0, 10)", timeframe_step=1)[-1] == 1


def test_a_window_that_starts_later_steps_by_its_length() -> None:
    assert days("COUNT(orders.*, 20, 30)") == [70, 60, 50, 40, 30, 20, 10]


def test_a_filter_that_looks_back_moves_the_beginning() -> None:
    assert filtered("COUNT(orders.*, 0, 10)", "COUNT(orders.*, -35, 0) > 0") == [90, 80, 70, 60, 50]
    # The beginning is day 30; one whole step of data after it is day 40.
    assert filtered("COUNT(orders.*, 0, 10)", "COUNT(orders.*, -30, 0) > 0")[-1] == 40
    assert filtered("COUNT(orders.*, 0, 10)", "COUNT(orders.*, -INF, 0) > 0")[-1] == 10


def test_several_windows_take_the_union_and_the_latest_end() -> None:
    found = days("COUNT(orders.*, 0, 7) > 1 OR SUM(orders.amount, 2, 5) > 3")
    assert found[:3] == [93, 86, 79]
    mixed = anchors(
        "COUNT(orders.*, 0, 20, days) > 1 OR COUNT(orders.*, 0, 1, months) > 3", HUNDRED_DAYS
    )
    # Day 100 is 11 April; the month reaches further than the 20 days and gives the step.
    assert dates(mixed) == ["2023-03-11", "2023-02-11"]


def test_months_are_counted_from_the_last_anchor() -> None:
    data = TimeRange(pd.Timestamp("2023-01-15").value, pd.Timestamp("2023-08-31").value)
    found = dates(anchors("COUNT(orders.*, 0, 1, months)", data))
    # A clipped February does not drag March and April with it.
    assert found == ["2023-07-31", "2023-06-30", "2023-05-31", "2023-04-30", "2023-03-31",
                     "2023-02-28"]  # fmt: skip


@pytest.mark.parametrize(
    ("latest", "last"),
    [
        ("2024-02-29 07:00", "2024-01-31 07:00"),  # the latest that is complete by the 29th
        ("2024-02-28 07:00", "2024-01-28 07:00"),
        ("2024-03-31", "2024-02-29"),
        ("2024-03-30", "2024-02-29"),
        ("2024-04-30 23:59:59.999999999", "2024-03-31 23:59:59.999999999"),
        ("2024-05-31", "2024-04-30"),
    ],
)
def test_the_last_anchor_before_the_end_of_a_month(latest: str, last: str) -> None:
    data = TimeRange(pd.Timestamp("2023-01-15").value, pd.Timestamp(latest).value)
    found = anchors("COUNT(orders.*, 0, 1, months)", data)
    assert pd.Timestamp(found[0]) == pd.Timestamp(last)
    month = pd.DateOffset(months=1)
    assert pd.Timestamp(last) + month <= pd.Timestamp(latest)
    assert (
        pd.Timestamp(last) + pd.Timedelta(days=1) + month > pd.Timestamp(latest)
        or (pd.Timestamp(last) + pd.Timedelta(days=1)).month != pd.Timestamp(last).month
    )


def test_start_and_end_bound_the_anchors_inclusively() -> None:
    text = "COUNT(orders.*, 0, 10)"
    assert days(text, end_time="2023-02-20", start_time="2023-01-31") == [50, 40, 30]
    assert days(text, end_time="2099-01-01", start_time="1990-01-01")[0] == 90


def test_days_relative_to_now() -> None:
    plan = TablePlan(start_time=-60, end_time=-20)
    frame = Frame.of(check("PREDICT COUNT(orders.*, 0, 10) FOR EACH customers.id", GRAPH))
    now = datetime(2023, 4, 11, tzinfo=UTC)  # day 100
    found = make_anchors(frame, HUNDRED_DAYS, plan, lambda: now)
    assert [(pd.Timestamp(a) - DAY0).days for a in found] == [40, 50, 60, 70, 80]


def test_no_complete_window_says_what_there_is() -> None:
    with pytest.raises(TaskError, match="No anchor has a complete window") as caught:
        days("COUNT(orders.*, 0, 60)")
    assert caught.value.code == "task.no_complete_window"
    assert "2023-01-01 to 2023-04-11" in caught.value.message
    assert "60 days" in caught.value.message


def test_bounds_that_leave_nothing_are_named() -> None:
    with pytest.raises(TaskError, match="start_time") as caught:
        days("COUNT(orders.*, 0, 10)", start_time="2024-01-01")
    assert caught.value.code == "task.no_complete_window"


def test_explicit_ranges_walk_back_from_their_own_end() -> None:
    frame = Frame.of(check("PREDICT COUNT(orders.*, 0, 10) FOR EACH customers.id", GRAPH))
    day = [(DAY0 + pd.Timedelta(days=n)).value for n in range(200)]
    found = ranges_to_anchors(
        frame,
        HUNDRED_DAYS,
        TablePlan(),
        [(day[0], day[45]), (day[45], day[75]), (day[75], day[150])],
    )
    # 45 - 10, ...; the third range ends after the data, so its newest anchor is the last complete.
    assert [(pd.Timestamp(a) - DAY0).days for a in found] == [15, 25, 35, 45, 55, 65, 80, 90]


@pytest.mark.parametrize(
    "plan",
    [{"timeframe_step": 0}, {"train_start_offset": -1}, {"start_time": 3}, {"end_time": "soon"}],
)
def test_plans_out_of_range_are_refused(plan: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        TablePlan(**plan)  # type: ignore[arg-type]
    assert caught.value.code == "task.invalid_plan"
    assert next(iter(plan)) in caught.value.message


def test_plans_travel_as_json() -> None:
    plan = TablePlan(split="RandomSplit([0.6, 0.2, 0.2])", timeframe_step=7, start_time=-30, seed=4)
    assert TablePlan.from_json(plan.to_json()) == plan
    with pytest.raises(InvalidRequest, match="timeframe_step"):
        TablePlan.from_json({"timeframe_steps": 3})
