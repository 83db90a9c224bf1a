"""Times as text, and anchors that data can have."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from relcast.core.clock import anchor_time, isoformat, parse_time
from relcast.core.errors import InvalidRequest


def test_times_are_utc_with_and_without_a_zone():
    expected = datetime(2024, 2, 27, 10, tzinfo=UTC)
    for text in ("2024-02-27T10:00:00", "2024-02-27T10:00:00Z", "2024-02-27T15:30:00+05:30"):
        assert parse_time(text) == expected
        assert anchor_time(text) == expected
    assert isoformat(expected) == "2024-02-27T10:00:00Z"
    assert anchor_time(None) is None


@pytest.mark.parametrize("text", ["", "NaN", "nothing", "2024-13-01", "0001-01-01T00:00:00+23:00"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(ValueError):
        parse_time(text)
    with pytest.raises(InvalidRequest) as caught:
        anchor_time(text)
    assert caught.value.code == "request.bad_time"


@pytest.mark.parametrize(
    "moment",
    [
        datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-23))),
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=23))),
        datetime(9999, 12, 31, tzinfo=UTC),
        datetime(2262, 4, 11, tzinfo=UTC),
        datetime(1677, 9, 21, 23, tzinfo=UTC),
    ],
)
def test_an_anchor_that_data_cannot_have_is_refused_and_not_moved(moment):
    """One of year 9999 was scored as of 2262; with a zone it was a crash."""
    with pytest.raises(InvalidRequest) as caught:
        anchor_time(moment)
    assert caught.value.code == "request.bad_time"
    assert "1677-09-22 to 2262-04-11" in caught.value.hint
