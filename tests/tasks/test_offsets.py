"""Calendar arithmetic against pandas' own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pandas as pd
import pytest

from relcast.pql.ast import Unit, Window
from relcast.tasks.offsets import (
    EARLIEST,
    LATEST,
    bounds,
    from_datetime,
    from_iso,
    iso,
    shift,
    steps_back,
    text,
    to_datetime,
)


def ns(moment: str) -> int:
    return pd.Timestamp(moment).value


@pytest.mark.parametrize(
    ("moment", "months", "expected"),
    [
        ("2023-01-31", 1, "2023-02-28"),
        ("2024-01-31", 1, "2024-02-29"),
        ("2024-03-31 10:00", -1, "2024-02-29 10:00"),
        ("2024-02-29", -12, "2023-02-28"),
        ("2024-02-29", 12, "2025-02-28"),
        ("2023-12-31", 2, "2024-02-29"),
        ("1969-12-31 23:59:59.999999999", 2, "1970-02-28 23:59:59.999999999"),
        ("2024-08-31", 0, "2024-08-31"),
    ],
)
def test_months_clip(moment: str, months: int, expected: str) -> None:
    assert shift([ns(moment)], months, Unit.months)[0] == ns(expected)


@pytest.mark.parametrize("unit", list(Unit))
def test_every_unit_equals_pandas(unit: Unit) -> None:
    rng = np.random.default_rng(3)
    moments = rng.integers(ns("1930-01-01"), ns("2100-01-01"), 300)
    for count in (-37, -12, -1, 0, 1, 5, 25):
        want = [(pd.Timestamp(m) + pd.DateOffset(**{unit.value: count})).value for m in moments]
        assert shift(moments, count, unit).tolist() == want


@pytest.mark.parametrize("unit", list(Unit))
def test_order_is_kept_at_the_ends_of_the_calendar(unit: Unit) -> None:
    moments = np.array([EARLIEST, ns("1700-05-31"), 0, ns("2200-01-31"), LATEST])
    for count in (-(10**12), -5000, 5000, 10**12):
        moved = shift(moments, count, unit)
        assert (np.diff(moved.astype(object)) >= 0).all()
        assert (moved >= EARLIEST).all()


def test_bounds_of_an_open_window() -> None:
    low, high = bounds(Window(None, -1, Unit.months), [ns("2024-03-31")])
    assert low[0] == EARLIEST
    assert high[0] == ns("2024-02-29")


def test_datetimes_are_utc() -> None:
    naive = datetime(2024, 2, 29, 12, 0, 0, 7)  # noqa: DTZ001 - naive is UTC here
    assert from_datetime(naive) == ns("2024-02-29 12:00:00.000007")
    assert from_datetime(naive.replace(tzinfo=timezone(timedelta(hours=2)))) == ns(
        "2024-02-29 10:00:00.000007"
    )
    assert to_datetime(from_datetime(naive)) == naive.replace(tzinfo=UTC)
    assert from_datetime(datetime(9999, 1, 1, tzinfo=UTC)) == LATEST


def test_text_drops_midnight() -> None:
    assert text(ns("2024-02-29")) == "2024-02-29"
    assert text(ns("2024-02-29 10:00")) == "2024-02-29 10:00:00"


def test_times_as_text_are_exact_to_the_nanosecond() -> None:
    assert iso(ns("2024-01-31")) == "2024-01-31T00:00:00Z"
    assert iso(ns("2024-01-31 01:02:03.5")) == "2024-01-31T01:02:03.500000Z"
    assert iso(ns("2024-01-31 01:02:03.000000007")) == "2024-01-31T01:02:03.000000007Z"
    rng = np.random.default_rng(4)
    for moment in [*rng.integers(EARLIEST, LATEST, 500).tolist(), EARLIEST, LATEST, -1, 0, 1]:
        assert from_iso(iso(moment)) == moment
        assert iso(moment).startswith(str(pd.Timestamp(moment))[:19].replace(" ", "T"))
    assert from_iso("2024-01-31T02:00:00.25+02:00") == ns("2024-01-31 00:00:00.25")
    assert from_iso("2024-01-31") == ns("2024-01-31")
    for wrong in ("soon", "2024-01-31T00:00:00.1234567891", "", "2024-13-01"):
        with pytest.raises(ValueError, match=r"."):
            from_iso(wrong)


@pytest.mark.parametrize("unit", list(Unit))
def test_steps_back_equal_single_shifts(unit: Unit) -> None:
    last = ns("2024-03-31 12:00:00.000000001")
    for step in (1, 7, 40):
        lowest = int(shift([last], -step * 9, unit)[0]) + 1
        want = [int(shift([last], -step * k, unit)[0]) for k in range(20)]
        found = steps_back(last, step, unit, lowest, 100)
        assert found.tolist() == [w for w in want if w >= lowest]
        assert len(steps_back(last, step, unit, EARLIEST + 1, 4)) == 5  # one too many is seen
    assert steps_back(last, 1, unit, last + 1, 100).tolist() == []
    # A step of more than what int64 holds leaves the last moment alone.
    assert steps_back(last, 10**12, unit, EARLIEST + 1, 100).tolist() == [last]
