"""Every form of query whose task is trained goes all the way; the others say so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from relcast.core.errors import PqlError
from relcast.learners import FittedModel, fit
from relcast.learners.folds import label_known_at
from relcast.pql import check
from tests.learners.worlds import DAY, QUICK, World

EACH = "FOR EACH customers.customer_id"
FORMS = {
    "arithmetic": f"PREDICT SUM(orders.price, 0, 30) / COUNT(orders.*, 0, 30) - 1 {EACH}",
    "median": f"PREDICT MEDIAN(orders.price, 0, 30, days) {EACH} "
    "WHERE STDDEV(orders.price, -90, 0, days) IS NULL OR COUNT(orders.*, -90, 0, days) > 0",
    "deviation": f"PREDICT STDDEV(orders.price, 0, 60, days) {EACH}",
    "between": f"PREDICT SUM(orders.price, 0, 30, days) BETWEEN 5 AND 40 {EACH}",
    "list": f"PREDICT LIST_DISTINCT(orders.kind, 0, 30, days) CONTAINS 'tea' {EACH} "
    "WHERE LIST_DISTINCT(orders.kind, -60, 0, days) IS NOT NULL",
    "listed row": f"PREDICT LIST_DISTINCT(orders.product_id, 0, 60, days) CONTAINS 3 {EACH}",
}
UNTRAINED = {
    "forecasting": f"PREDICT SUM(orders.price, 0, 30, days) FORECAST 2 TIMEFRAMES {EACH}",
    "multilabel": f"PREDICT LIST_DISTINCT(orders.kind, 0, 30, days) CLASSIFY {EACH}",
    "ranking": f"PREDICT LIST_DISTINCT(orders.kind, 0, 30, days) RANK TOP 2 {EACH}",
    "links": f"PREDICT LIST_DISTINCT(orders.product_id, 0, 30, days) RANK TOP 3 {EACH}",
}


@pytest.mark.parametrize("form", FORMS)
def test_a_form_is_trained_scored_explained_certified_and_saved(
    form: str, world: World, tmp_path: Path
) -> None:
    table = world.table(FORMS[form])
    query = check(FORMS[form], world.snapshot.graph)
    model = fit(world.relations, query, table, QUICK)
    assert model.certificate.probe.passed
    assert all(gap.disjoint for gap in model.certificate.gaps)
    assert "own past window" in model.evaluation.baselines
    entity, anchor = table.examples.entity[:50], table.examples.anchor[:50]
    said = model.predict(world.relations, entity, anchor).values
    assert np.isfinite(said).all()
    assert len(model.explain(world.relations, entity[:4], anchor[:4])) == 4
    model.save(tmp_path / "model")
    again = FittedModel.load(tmp_path / "model").predict(world.relations, entity, anchor).values
    assert np.array_equal(said, again)


@pytest.mark.parametrize("task", UNTRAINED)
def test_a_task_that_nothing_trains_yet_is_refused_in_one_sentence(task: str, world: World) -> None:
    table = world.table(UNTRAINED[task])
    assert len(table) > 0
    with pytest.raises(PqlError) as caught:
        fit(world.relations, table.query, table, QUICK)
    assert caught.value.code == "pql.task_not_supported_yet"
    # A forecast's label is complete when the last of its windows is.
    first = table.examples.anchor[:1]
    known = label_known_at(table.query, first, world.relations) - first
    assert known[0] == (60 if task == "forecasting" else 30) * DAY
