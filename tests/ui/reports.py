"""Reports and explanations of real small fits, as JSON, for every task type."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from tests.learners.test_every_task import QUERIES, STATIC
from tests.learners.timeless import make_club
from tests.learners.worlds import World, make_world

NAMES = tuple(QUERIES)


class Told(NamedTuple):
    """What a model's record and an explanation of one of its predictions hold."""

    report: dict[str, Any]
    lineage: dict[str, Any]
    explanation: dict[str, Any]
    task_type: str


@cache
def _world(folder: Path, static: bool) -> World:
    if static:
        return make_club(folder / "club", people=200)
    return make_world(folder / "shop", customers=150)


@cache
def told(folder: Path, name: str) -> Told:
    """Fit a task's model in debug mode and return its report, through JSON as the catalog has it.

    ``folder`` is empty at first; worlds and models are kept for the process.
    """
    world = _world(folder, name in STATIC)
    model = world.fit(QUERIES[name])
    examples = world.table(QUERIES[name]).examples
    anchor = None if examples.anchor is None else int(examples.anchor[-1])
    explanation = model.explain_entity(world.relations, int(examples.entity[-1]), anchor)
    report = {**model.summary(), **model.evaluation.to_json()}
    lineage = {"model": report.pop("lineage")}
    text = json.dumps([report, lineage, explanation.to_json()], allow_nan=False)
    return Told(*json.loads(text), task_type=model.task_type.value)
