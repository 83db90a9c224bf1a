"""Targets in a few words."""

from __future__ import annotations

import pytest

from relcast.tasks.report import TargetSummary
from relcast.tasks.wording import target_share, target_words


@pytest.mark.parametrize(
    ("target", "said", "share"),
    [
        (TargetSummary(0), "none", None),
        (TargetSummary(8, positives=1), "12.5 % positive", 0.125),
        (TargetSummary(4, classes={"a": 3, "b": 1}), "a 75.0 %, b 25.0 %", 0.75),
        (
            TargetSummary(8, classes={"a": 5, "b": 1, "c": 1, "d": 1}),
            "a 62.5 %, b 12.5 %, c 12.5 %, …",
            0.625,
        ),
        (TargetSummary(9, mean=4.25, low=0.0, high=93.0), "mean 4.25, 0 to 93", 4.25),
        (
            TargetSummary(9, mean=4.0, low=0.0, high=9.0, windows=(3.0, 5.0)),
            "mean 4, 0 to 9, over 2 windows",
            4.0,
        ),
        (
            TargetSummary(9, mean_length=2.5, distinct=1200, empty=3),
            "2.5 values a row, 1,200 distinct, 3 rows with none",
            2.5,
        ),
    ],
)
def test_what_is_said(target: TargetSummary, said: str, share: float | None) -> None:
    assert target_words(target) == said
    assert target_share(target) == share
