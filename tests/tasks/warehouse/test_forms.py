"""Every form of a query in every engine, against labels worked out by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from relcast.pql import check
from tests.tasks.warehouse.comparison import answered, arrow_tables, differences, expected
from tests.tasks.warehouse.forms import ANCHOR, FORMS, world_of


@pytest.mark.parametrize("name", FORMS)
def test_a_form_gives_its_labels(engine: Any, name: str, tmp_path: Path) -> None:
    world, form = world_of(name), FORMS[name]
    query = check(form.text, world.graph())
    anchor = ANCHOR.value if query.temporal else None
    want = {(entity, anchor): target for entity, target in form.labels.items()}
    anchors = None if anchor is None else [anchor]
    got = answered(engine, world, arrow_tables(world, tmp_path), query, anchors)
    assert not differences(got, want)
    assert not differences(got, expected(world.snapshot(tmp_path), query, anchors))
