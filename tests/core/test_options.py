"""Options as JSON has them, against the types that a dataclass declares."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pytest

from relcast.core.errors import InvalidRequest
from relcast.core.options import first_misfit
from relcast.learners.plan import ModelPlan
from relcast.tasks.plan import TablePlan


@dataclass(frozen=True)
class Options:
    mode: Literal["a", "b"] = "a"
    count: int = 1
    share: float | None = None
    names: tuple[str, ...] | None = None
    when: int | str | None = None
    on: bool = True


def test_what_fits():
    for given in ({}, {"count": np.int64(3)}, {"share": 1}, {"names": ("x",)}, {"when": "2024"}):
        assert first_misfit(Options(**given)) is None


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("mode", ["a"], "'a' or 'b'"),
        ("count", True, "a whole number"),
        ("count", 1.5, "a whole number"),
        ("count", float("inf"), "a whole number"),
        ("share", "1", "a number"),
        ("share", float("nan"), "a number"),
        ("names", (1,), "a list, each a text"),
        ("names", "x", "a list, each a text"),
        ("when", [], "a whole number or a text"),
        ("on", 1, "true or false"),
    ],
)
def test_what_does_not(name, value, wanted):
    assert first_misfit(Options(**{name: value})) == (name, wanted)


ODD = ["x", [], {}, True, 1.5, float("nan"), float("inf"), -1, 10**30, ["x"], [1], {"a": 1}]


@pytest.mark.parametrize("kind", [TablePlan, ModelPlan])
@pytest.mark.parametrize("odd", ODD, ids=json.dumps)
def test_no_value_breaks_a_plan(kind, odd):
    """A text for a number was a 500 of the server, and an infinity went to the default."""
    for name in kind().to_json():
        plan = read(kind, name, odd)
        if plan is not None:
            assert plan.to_json()[name] == odd
            json.dumps(plan.to_json(), allow_nan=False)


def read(kind, name, value):
    """The plan with that value, or None where it is refused in words."""
    try:
        return kind.from_json({name: value})
    except InvalidRequest as error:
        told = name in error.message and bool(error.hint)
    assert told
    return None
